//! What the runs do: each definition counts in its context how often each of its actions took effect,
//! so its output tells whether something was lost or done twice.

use crate::dice::Dice;
use flux_testkit::Witness;
use serde_json::{Map, Value, json};

const TIMEOUT: &str = "https://open-workflow-specification.org/spec/1.0.0/errors/timeout";

/// A definition and what must come of it.
#[derive(Clone, Debug)]
pub struct Shape {
    pub name: &'static str,
    pub breaks: &'static str,
    pub tasks: Vec<Value>,
    /// What a completed run of it gives.
    pub output: Value,
    pub errand: Errand,
    /// Runs of it that each run of another one starts: of which, and how many.
    pub child_of: Option<(&'static str, usize)>,
}

/// What a client does for a run after it has been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    None,
    /// Sends it the event that it listens to.
    Signal,
    /// Cancels it, if it comes in time.
    Cancel,
}

/// One of each kind, in sizes that the dice decide.
pub fn shapes(dice: &mut Dice, witness: &Witness) -> Vec<Shape> {
    let mut desk = Desk { dice, witness };
    vec![
        desk.steps("steps", "every-action", 3),
        desk.steps("marked", "marked", 3),
        desk.steps("child", "every-action", 1)
            .started_by("parent", 2),
        desk.parent(),
        desk.split(),
        desk.nested(),
        desk.timers(),
        desk.retries(),
        desk.rounds(),
        desk.signalled(),
        desk.expires(),
        desk.rendezvous(),
        desk.cancelled(),
    ]
}

impl Shape {
    fn new(name: &'static str, tasks: Vec<Value>, output: Value) -> Shape {
        Shape {
            name,
            breaks: "every-action",
            tasks,
            output,
            errand: Errand::None,
            child_of: None,
        }
    }

    fn needing(mut self, errand: Errand) -> Shape {
        self.errand = errand;
        self
    }

    fn started_by(mut self, parent: &'static str, count: usize) -> Shape {
        self.child_of = Some((parent, count));
        self
    }

    /// The definition; its last task tells what was counted.
    pub fn text(&self) -> String {
        let mut tasks = self.tasks.clone();
        tasks.push(json!({"tell": {"set": "${ $context }"}}));
        let document = json!({
            "document": {
                "dsl": "1.0.3", "namespace": "chaos", "name": self.name, "version": "1.0.0",
                "metadata": {"flux": {"breaks": self.breaks}},
            },
            "do": tasks,
        });
        document.to_string()
    }
}

struct Desk<'d> {
    dice: &'d mut Dice,
    witness: &'d Witness,
}

impl Desk<'_> {
    /// An action that takes a moment and counts itself.
    fn act(&mut self, name: &str) -> Value {
        let work = match self.dice.below(4) {
            0 => "true".to_owned(),
            1 => self.witness.at_work(3 + self.dice.below(10)),
            _ => format!("sleep {:.2}", self.dice.between(0.05, 2.5)),
        };
        let command = self.witness.around(&work);
        json!({name: {"run": {"shell": {"command": command}}, "export": counting(name)}})
    }

    fn acts(&mut self, prefix: &str, count: usize) -> Vec<Value> {
        (0..count)
            .map(|n| self.act(&format!("{prefix}{n}")))
            .collect()
    }

    fn steps(&mut self, name: &'static str, breaks: &'static str, least: usize) -> Shape {
        let count = least + self.dice.below(4);
        let tasks = self.acts("s", count);
        let mut shape = Shape::new(name, tasks, once("s", count).into());
        shape.breaks = breaks;
        shape
    }

    /// One child after the other.
    fn parent(&mut self) -> Shape {
        let child = |name: &str| {
            let workflow = json!({"namespace": "chaos", "name": "child", "version": "1.0.0"});
            json!({name: {"run": {"workflow": workflow}, "export": counting(name)}})
        };
        let tasks = vec![child("c0"), self.act("s0"), child("c1")];
        let output = json!({"c0": 1, "s0": 1, "c1": 1});
        Shape::new("parent", tasks, output)
    }

    fn fork(&mut self, name: &str, prefix: &str, branches: usize) -> (Value, Map<String, Value>) {
        let mut counts = Map::new();
        let mut all = Vec::new();
        for branch in 0..branches {
            let (prefix, count) = (format!("{prefix}{branch}x"), 1 + self.dice.below(3));
            all.push(json!({&prefix: {"do": self.acts(&prefix, count)}}));
            counts.extend(once(&prefix, count));
        }
        (json!({name: {"fork": {"branches": all}}}), counts)
    }

    fn split(&mut self) -> Shape {
        let branches = 2 + self.dice.below(4);
        let (fork, mut counts) = self.fork("split", "b", branches);
        counts.extend(once("after", 1));
        let tasks = vec![self.act("before0"), fork, self.act("after0")];
        counts.extend(once("before", 1));
        Shape::new("split", tasks, counts.into())
    }

    /// A split within a split.
    fn nested(&mut self) -> Shape {
        let (inner, mut counts) = self.fork("inner", "i", 2);
        let (beside, more) = self.fork("beside", "j", 2);
        counts.extend(more);
        let branches = json!([{"left": {"do": [inner]}}, {"right": {"do": [beside]}}]);
        let tasks = vec![json!({"outer": {"fork": {"branches": branches}}})];
        Shape::new("nested", tasks, counts.into())
    }

    fn timers(&mut self) -> Shape {
        let mut tasks = Vec::new();
        for n in 0..3 {
            let time = 100 + self.dice.below(2_000);
            tasks.push(self.act(&format!("s{n}")));
            tasks.push(json!({format!("wait{n}"): {"wait": {"milliseconds": time}}}));
        }
        Shape::new("timers", tasks, once("s", 3).into())
    }

    /// The second action fails twice, and counts its failures beside its engine.
    fn retries(&mut self) -> Shape {
        let file = r#"f="failed-$(echo "$FLUX_IDEMPOTENCY_KEY" | cut -d/ -f1)""#;
        let fail = r#"echo x >> "$f"; test "$(wc -l < "$f")" -gt 2"#;
        let command = format!("{file}; {}; {fail}", self.witness.command());
        let flaky = json!({"flaky0": {"run": {"shell": {"command": command}}, "export": counting("flaky0")}});
        let retry = json!({"delay": {"milliseconds": 200}, "limit": {"attempt": {"count": 50}}});
        let stubborn = json!({"stubborn": {"try": [flaky], "catch": {"retry": retry}}});
        let mut counts = once("s", 2);
        counts.extend(once("flaky", 1));
        let tasks = vec![self.act("s0"), stubborn, self.act("s1")];
        Shape::new("retries", tasks, counts.into())
    }

    /// A loop.
    fn rounds(&mut self) -> Shape {
        let count = 2 + self.dice.below(3);
        let numbers: Vec<_> = (0..count).map(|n| n.to_string()).collect();
        let each = json!({"each": "n", "in": format!("${{ [{}] }}", numbers.join(","))});
        let tasks = vec![json!({"rounds": {"for": each, "do": [self.act("s0")]}})];
        Shape::new("rounds", tasks, json!({"s0": count}))
    }

    fn signalled(&mut self) -> Shape {
        let tasks = vec![self.act("s0"), listen("hear", "go"), self.act("s1")];
        let mut counts = once("s", 2);
        counts.insert("hear".to_owned(), json!(1));
        Shape::new("signalled", tasks, counts.into()).needing(Errand::Signal)
    }

    /// Listens to what never comes, for a moment.
    fn expires(&mut self) -> Shape {
        let mut hear = listen("hear", "never");
        hear["hear"]["timeout"] = json!({"after": {"milliseconds": 300 + self.dice.below(1_500)}});
        let catch = json!({"errors": {"with": {"type": TIMEOUT}}, "do": [self.act("s1")]});
        let tasks = vec![
            self.act("s0"),
            json!({"patient": {"try": [hear], "catch": catch}}),
        ];
        Shape::new("expires", tasks, once("s", 2).into())
    }

    /// One branch waits for what the other one tells.
    fn rendezvous(&mut self) -> Shape {
        let event = json!({"with": {"source": "https://chaos.example", "type": "told"}});
        let tell = vec![self.act("a0"), json!({"say": {"emit": {"event": event}}})];
        let hear = vec![listen("hear", "told"), self.act("b0")];
        let branches = json!([{"teller": {"do": tell}}, {"hearer": {"do": hear}}]);
        let tasks = vec![json!({"meet": {"fork": {"branches": branches}}})];
        let output = json!({"a0": 1, "b0": 1, "hear": 1});
        Shape::new("rendezvous", tasks, output)
    }

    fn cancelled(&mut self) -> Shape {
        let (fork, mut counts) = self.fork("split", "b", 2);
        counts.extend(once("s", 2));
        let tasks = vec![self.act("s0"), fork, self.act("s1")];
        Shape::new("cancelled", tasks, counts.into()).needing(Errand::Cancel)
    }
}

fn listen(name: &str, event: &str) -> Value {
    let to = json!({"one": {"with": {"type": event}}});
    json!({name: {"listen": {"to": to}, "export": counting(name)}})
}

/// Counts in the context that this task has ended.
fn counting(name: &str) -> Value {
    json!({"as": format!("${{ ($context // {{}}) + {{ \"{name}\": (($context.{name} // 0) + 1) }} }}")})
}

fn once(prefix: &str, count: usize) -> Map<String, Value> {
    (0..count)
        .map(|n| (format!("{prefix}{n}"), json!(1)))
        .collect()
}
