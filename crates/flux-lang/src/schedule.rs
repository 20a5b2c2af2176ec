//! `schedule`, and `schedule` under `document.metadata.flux`.

use crate::code;
use crate::cx::Cx;
use crate::tree::Node;
use croner::parser::{CronParser, Seconds, Year};
use flux_core::chart::{Misfire, Overlap, Schedule, ScheduleRule};

impl<'s> Cx<'s> {
    /// When runs start by themselves.
    pub(crate) fn schedule(
        &mut self,
        node: Option<&'s Node>,
        options: Option<&'s Node>,
    ) -> Option<Schedule> {
        let options = self.schedule_options(options);
        let node = node?;
        let fields = self.map(
            node,
            "`schedule`",
            &["every", "cron", "after", "on", "read"],
        )?;
        if let Some(entry) = fields.entry("on") {
            let message = "`schedule.on` is not supported";
            let help = "let a first task `listen` for the event, or start runs from outside";
            self.error_help(code::NO_SCHEDULE_ON, entry.key_span, message, help);
            return None;
        }
        let rules: Vec<_> = fields
            .entries()
            .iter()
            .filter(|entry| entry.key != "read")
            .collect();
        let [entry] = rules.as_slice() else {
            let message = "a schedule needs one of `every`, `cron` and `after`";
            let code = if rules.is_empty() {
                code::MISSING_KEY
            } else {
                code::CONFLICT
            };
            self.error(
                code,
                rules.get(1).map_or(node.span, |entry| entry.key_span),
                message,
            );
            return None;
        };
        if let Some(entry) = fields.entry("read") {
            self.error(
                code::CONFLICT,
                entry.key_span,
                "`read` belongs to `schedule.on`",
            );
        }
        let rule = match entry.key.as_str() {
            "every" => ScheduleRule::Every(self.interval(&entry.value)?),
            "after" => {
                ScheduleRule::After(self.literal_duration(&entry.value, "`schedule.after`")?)
            }
            "cron" => ScheduleRule::Cron(self.cron(&entry.value)?),
            _ => return None,
        };
        Some(Schedule {
            rule,
            timezone: options.0,
            misfire: options.1,
            overlap: options.2,
        })
    }

    fn interval(&mut self, node: &'s Node) -> Option<std::time::Duration> {
        let every = self.literal_duration(node, "`schedule.every`")?;
        if every.is_zero() {
            self.error(
                code::DURATION,
                node.span,
                "`schedule.every` must be longer than nothing",
            );
            return None;
        }
        Some(every)
    }

    fn schedule_options(&mut self, node: Option<&'s Node>) -> (Option<String>, Misfire, Overlap) {
        let nothing = (None, Misfire::default(), Overlap::default());
        let Some(node) = node else { return nothing };
        let keys = ["timezone", "misfire", "overlap"];
        let Some(fields) = self.map(node, "`metadata.flux.schedule`", &keys) else {
            return nothing;
        };
        let timezone = fields.get("timezone").and_then(|node| self.timezone(node));
        let misfires = [
            ("run-once", Misfire::RunOnce),
            ("run-all", Misfire::RunAll),
            ("skip", Misfire::Skip),
        ];
        let overlaps = [("allow", Overlap::Allow), ("skip", Overlap::Skip)];
        let misfire = fields
            .get("misfire")
            .and_then(|node| self.choice(node, "`misfire`", &misfires));
        let overlap = fields
            .get("overlap")
            .and_then(|node| self.choice(node, "`overlap`", &overlaps));
        (
            timezone,
            misfire.unwrap_or_default(),
            overlap.unwrap_or_default(),
        )
    }

    fn timezone(&mut self, node: &'s Node) -> Option<String> {
        let name = self.literal(node, "`timezone`")?;
        if jiff::tz::TimeZone::get(name).is_err() {
            let message = format!("`{name}` is no time zone that this machine knows");
            let help = "use a name of the IANA list, such as Europe/Berlin";
            self.error_help(code::WRONG_VALUE, node.span, message, help);
            return None;
        }
        Some(name.to_owned())
    }

    fn cron(&mut self, node: &'s Node) -> Option<String> {
        let text = self.literal(node, "`schedule.cron`")?;
        let wrong = |cx: &mut Cx<'s>, message: String| {
            let help =
                "five fields: minute hour day-of-month month day-of-week, such as `0 2 * * 1-5`";
            cx.error_help(code::CRON, node.span, message, help);
        };
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        match parser.parse(text) {
            Err(error) => {
                wrong(self, format!("`{text}` is no cron expression: {error}"));
                return None;
            }
            Ok(_) if text.split_whitespace().count() != 5 && !text.trim().starts_with('@') => {
                wrong(self, format!("`{text}` does not have five fields"));
                return None;
            }
            Ok(cron) if !fires(&cron) => {
                wrong(self, format!("`{text}` never fires"));
                return None;
            }
            Ok(_) => {}
        }
        Some(text.trim().to_owned())
    }
}

/// Whether there is a time at all; the search ends by itself after some thousand years.
fn fires(cron: &croner::Cron) -> bool {
    let start = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    cron.find_next_occurrence(&start, false).is_ok()
}
