//! Small workflows of every kind, drawn from a number, and what must come out of them.

use crate::rng::Rng;
use flux_core::chart::{Chart, Compiler};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// How many different ones there are, besides the leaves: each is compiled once.
pub const SHAPES: u64 = 200;
/// Those without children, listeners and splits; the others start them as child runs.
pub const LEAVES: u64 = 8;

pub struct Workflow {
    pub source: String,
    pub chart: Arc<Chart>,
    /// Steps whose output must be in the context at the end, and how often each is performed.
    pub certain: BTreeMap<String, u32>,
    /// Types of the events it waits for.
    pub listens: Vec<String>,
    pub completes: bool,
}

/// The workflow of a shape.
pub fn of_shape(shape: u64) -> Arc<Workflow> {
    let name = format!("shape-{shape}");
    kept(&name, || Maker::new(shape).workflow(&name, false))
}

/// A workflow that other workflows start.
pub fn leaf(number: u64) -> Arc<Workflow> {
    let name = format!("leaf-{number}");
    kept(&name, || {
        Maker::new(1_000_000 + number).workflow(&name, true)
    })
}

/// A workflow that kills each engine that performs it.
pub fn killer() -> Arc<Workflow> {
    kept("killer", || {
        let body = json!([{"dies": {"run": {"shell": {"command": "kill"}}}}]);
        Maker::new(0).finish("killer", body, false)
    })
}

/// A workflow that a schedule starts.
pub fn scheduled() -> Arc<Workflow> {
    kept("scheduled", || {
        let mut maker = Maker::new(0);
        let body = json!([maker.action(true)]);
        maker.every = Some(2);
        maker.finish("scheduled", body, true)
    })
}

/// Hands out what was compiled before.
pub struct Kept;

impl Compiler for Kept {
    fn compile(&self, source: &str) -> Result<Arc<Chart>, String> {
        let shelf = shelf().lock().unwrap();
        let found = shelf.values().find(|workflow| workflow.source == source);
        found
            .map(|workflow| Arc::clone(&workflow.chart))
            .ok_or_else(|| "not of this simulation".to_owned())
    }
}

fn kept(name: &str, make: impl FnOnce() -> Workflow) -> Arc<Workflow> {
    if let Some(found) = shelf().lock().unwrap().get(name) {
        return Arc::clone(found);
    }
    let made = Arc::new(make());
    shelf()
        .lock()
        .unwrap()
        .insert(name.to_owned(), Arc::clone(&made));
    made
}

fn shelf() -> &'static Mutex<BTreeMap<String, Arc<Workflow>>> {
    static SHELF: OnceLock<Mutex<BTreeMap<String, Arc<Workflow>>>> = OnceLock::new();
    SHELF.get_or_init(Mutex::default)
}

struct Maker {
    rng: Rng,
    steps: u32,
    certain: BTreeMap<String, u32>,
    listens: Vec<String>,
    every: Option<u32>,
}

impl Maker {
    fn new(seed: u64) -> Maker {
        Maker {
            rng: Rng::new(seed),
            steps: 0,
            certain: BTreeMap::new(),
            listens: Vec::new(),
            every: None,
        }
    }

    fn workflow(mut self, name: &str, leaf: bool) -> Workflow {
        let most = if leaf { 2 } else { 4 };
        let count = self.rng.between(1, most);
        let mut body = self.sequence(count, leaf, true);
        let completes = leaf || !self.rng.permille(80);
        if !completes {
            let error =
                json!({"type": "https://example.com/meant", "status": 418, "title": "Meant"});
            body.push(json!({"fails": {"raise": {"error": error}}}));
        }
        self.finish(name, Value::Array(body), completes)
    }

    fn finish(mut self, name: &str, body: Value, completes: bool) -> Workflow {
        let mut document = json!({
            "dsl": "1.0.3", "namespace": "sim", "name": name, "version": "1.0.0",
        });
        if self.rng.permille(400) {
            document["metadata"] = json!({"flux": {"breaks": "marked"}});
        }
        let mut all = json!({
            "document": document, "do": body, "output": {"as": "${ $context }"},
        });
        if let Some(secs) = self.every {
            all["schedule"] = json!({"every": {"seconds": secs}});
        }
        let source = all.to_string();
        let compiled = flux_lang::compile(&source, name);
        let chart = compiled.unwrap_or_else(|report| panic!("{report}")).chart;
        Workflow {
            source,
            chart,
            certain: self.certain,
            listens: self.listens,
            completes,
        }
    }

    fn sequence(&mut self, count: u64, leaf: bool, certain: bool) -> Vec<Value> {
        let kinds = if leaf { 6 } else { 14 };
        (0..count)
            .map(|_| match self.rng.below(kinds) {
                0..=2 => self.action(certain),
                3 => self.wait(),
                4 => self.stubborn(certain),
                5 => self.repeated(certain),
                6..=8 => self.fork(certain),
                9 => self.race(),
                10..=11 => self.listen(certain),
                12 => self.child(certain),
                _ => self.limited(),
            })
            .collect()
    }

    fn name(&mut self, letter: char) -> String {
        self.steps += 1;
        format!("{letter}{}", self.steps)
    }

    fn step(&mut self, letter: char, certain: bool, times: u32, mut task: Value) -> Value {
        let name = self.name(letter);
        let export = format!("${{ $context + {{ {name}: . }} }}");
        task["export"] = json!({"as": export});
        if self.rng.permille(300) {
            let place = self.rng.pick(&["before", "after", "around"]);
            task["metadata"] = json!({"flux": {"break": place}});
        }
        if certain {
            self.certain.insert(name.clone(), times);
        }
        json!({name: task})
    }

    fn millis(&mut self) -> u64 {
        match self.rng.below(10) {
            0 => self.rng.between(1_000, 9_000),
            1..=4 => self.rng.between(200, 1_000),
            _ => self.rng.between(5, 200),
        }
    }

    fn action(&mut self, certain: bool) -> Value {
        let command = format!("work {}", self.millis());
        let task = json!({"run": {"shell": {"command": command}}});
        self.step('s', certain, 1, task)
    }

    fn wait(&mut self) -> Value {
        let millis = self.millis();
        let name = self.name('w');
        json!({name: {"wait": {"milliseconds": millis}}})
    }

    /// An action that fails at first.
    fn stubborn(&mut self, certain: bool) -> Value {
        let (millis, fails) = (self.rng.between(5, 300), self.rng.between(1, 2));
        let command = format!("work {millis} fail {fails}");
        let task = json!({"run": {"shell": {"command": command}}});
        let block = self.step('s', certain, 1, task);
        let delay = self.rng.between(0, 400);
        let name = self.name('t');
        json!({name: {
            "try": [block],
            "catch": {"retry": {
                "delay": {"milliseconds": delay},
                "limit": {"attempt": {"count": fails + 1}},
            }},
        }})
    }

    fn repeated(&mut self, certain: bool) -> Value {
        let command = format!("work {}", self.rng.between(5, 200));
        let task = json!({"run": {"shell": {"command": command}}});
        let body = self.step('s', certain, 2, task);
        let name = self.name('f');
        json!({name: {"for": {"each": "x", "in": "${ [1, 2] }"}, "do": [body]}})
    }

    fn branches(&mut self, certain: bool) -> Vec<Value> {
        let count = self.rng.between(2, 3);
        (0..count)
            .map(|_| {
                let tasks = self.rng.between(1, 2);
                let body = self.sequence(tasks, true, certain);
                let name = self.name('b');
                json!({name: {"do": body}})
            })
            .collect()
    }

    fn fork(&mut self, certain: bool) -> Value {
        let branches = self.branches(certain);
        let name = self.name('k');
        json!({name: {"fork": {"branches": branches}}})
    }

    /// A split that goes on without all of its branches.
    fn race(&mut self) -> Value {
        let branches = self.branches(false);
        let rest = self.rng.pick(&["cancel", "leave"]);
        let name = self.name('k');
        json!({name: {
            "fork": {"branches": branches},
            "metadata": {"flux": {"join": {"count": 1, "rest": rest}}},
        }})
    }

    fn listen(&mut self, certain: bool) -> Value {
        let kind = format!("go-{}", self.steps);
        self.listens.push(kind.clone());
        let task = json!({"listen": {"to": {"one": {"with": {"type": kind}}}}});
        self.step('l', certain, 1, task)
    }

    fn child(&mut self, certain: bool) -> Value {
        let name = format!("leaf-{}", self.rng.below(LEAVES));
        let task =
            json!({"run": {"workflow": {"namespace": "sim", "name": name, "version": "1.0.0"}}});
        self.step('c', certain, 1, task)
    }

    /// An action that may come too late.
    fn limited(&mut self) -> Value {
        let command = format!("work {}", self.rng.between(5, 600));
        let after = self.rng.between(50, 500);
        let mut block = self.step(
            's',
            false,
            1,
            json!({"run": {"shell": {"command": command}}}),
        );
        if let Some(task) = block
            .as_object_mut()
            .and_then(|block| block.values_mut().next())
        {
            task["timeout"] = json!({"after": {"milliseconds": after}});
        }
        let (name, late) = (self.name('t'), self.name('x'));
        let kind = "https://open-workflow-specification.org/spec/1.0.0/errors/timeout";
        json!({name: {
            "try": [block],
            "catch": {
                "errors": {"with": {"type": kind}},
                "do": [{late: {"set": {"late": true}}}],
            },
        }})
    }
}
