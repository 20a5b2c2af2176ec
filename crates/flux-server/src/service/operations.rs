//! Changing runs.

use super::Api;
use crate::check::Check;
use crate::convert;
use crate::names;
use crate::refusal::{not_found, of_missing, of_store, refusal, wrong_state};
use flux_core::ids::RunId;
use flux_core::ports::operations::{Change, Operated, Recovery};
use flux_core::ports::runs::{Event, Signalled};
use flux_core::value;
use flux_proto::v1::{
    RemoveRunRequest, RemoveRunResponse, Run, SignalRunRequest, SignalRunResponse,
};
use tonic::{Code, Status};

impl Api {
    /// Changes a run, and tells how it is then.
    pub(super) async fn change(&self, name: &str, change: Change) -> Result<Run, Status> {
        let id = self.changed(name, change).await?;
        if matches!(change, Change::Resume | Change::Expedite) {
            self.local.nudge(1);
        }
        Ok(convert::run(self.record(id).await?))
    }

    pub(super) async fn remove(
        &self,
        request: RemoveRunRequest,
    ) -> Result<RemoveRunResponse, Status> {
        self.changed(&request.name, Change::Remove).await?;
        Ok(RemoveRunResponse {})
    }

    async fn changed(&self, name: &str, change: Change) -> Result<RunId, Status> {
        let mut check = Check::default();
        let id = check.run("name", name);
        check.done()?;
        let now = self.ports.host.now();
        let operated = self.ports.operations.change(id, change, now).await;
        done(operated.map_err(of_store)?, name)?;
        Ok(id)
    }

    pub(super) async fn recover(&self, name: &str) -> Result<Run, Status> {
        let mut check = Check::default();
        let id = check.run("name", name);
        check.done()?;
        let record = self.record(id).await?;
        let chart = self.charts.get(&record.chart).await;
        let workflow = names::workflow(&record.name);
        let chart = chart.map_err(|missing| of_missing(missing, &workflow))?;
        let recovery = Recovery {
            run: id,
            listens: chart.listens.clone(),
            at: self.ports.host.now(),
        };
        let operated = self.ports.operations.recover(recovery).await;
        done(operated.map_err(of_store)?, name)?;
        self.local.nudge(1);
        Ok(convert::run(self.record(id).await?))
    }

    pub(super) async fn signal(
        &self,
        request: SignalRunRequest,
    ) -> Result<SignalRunResponse, Status> {
        let (run, event) = self.event(&request)?;
        let (id, now) = (event.id.clone(), self.ports.host.now());
        let signalled = self.ports.runs.signal(run, event, now).await;
        let already_delivered = match signalled.map_err(of_store)? {
            Signalled::Accepted => {
                self.local.nudge(1);
                false
            }
            Signalled::Duplicate => true,
            Signalled::NotFound => return Err(not_found("run", &request.name)),
            Signalled::Ended(state) => return Err(wrong_state(&request.name, state)),
        };
        Ok(SignalRunResponse {
            already_delivered,
            id,
        })
    }

    /// The run that is to have an event, and the event.
    fn event(&self, request: &SignalRunRequest) -> Result<(RunId, Event), Status> {
        let mut check = Check::default();
        let run = check.run("name", &request.name);
        let data = check.json("data_json", &request.data_json);
        let fresh = self.ports.host.fresh_id().to_string();
        let or = |text: &str, usual: &str| match text {
            "" => usual.to_owned(),
            text => text.to_owned(),
        };
        let (id, source) = (or(&request.id, &fresh), or(&request.source, "flux"));
        let attributes = [
            ("type", &request.r#type, "com.example.order.approved"),
            ("source", &source, "https://shop.example/orders"),
            ("id", &id, "order-4711-approved"),
        ];
        for (field, text, example) in attributes {
            if !Event::is_attribute(text) {
                check.fault(field, text, Event::ATTRIBUTE, example);
            }
        }
        check.done()?;
        let now = self.ports.host.now().to_string();
        let json = value::object([
            ("specversion", value::text("1.0")),
            ("id", value::text(&id)),
            ("source", value::text(&source)),
            ("type", value::text(&request.r#type)),
            ("time", value::text(&now)),
            ("data", data),
        ]);
        let event = Event {
            id,
            source,
            kind: request.r#type.clone(),
            json: value::to_json(&json),
        };
        Ok((run, event))
    }
}

fn done(operated: Operated, name: &str) -> Result<(), Status> {
    match operated {
        Operated::Done => Ok(()),
        Operated::NotFound => Err(not_found("run", name)),
        Operated::Illegal(state) => Err(wrong_state(name, state)),
        Operated::Child => {
            let text =
                format!("{name} is a sub-workflow of a run that has not ended, or has gone on");
            let about = [("resource", name)];
            Err(refusal(
                Code::FailedPrecondition,
                "CHILD_RUN",
                &about,
                &text,
            ))
        }
    }
}
