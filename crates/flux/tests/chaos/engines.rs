//! Five places for engines, each with a way of its own to the database.

use crate::plan::ENGINES;
use crate::world::World;
use flux_testkit::Flux;
use flux_testkit::history::Nanos;
use flux_testkit::proxy::Proxy;

/// The engines and the ways; the last way is that of the clients.
pub struct Engines<'w> {
    world: &'w World,
    ways: Vec<Proxy>,
    /// The engines with their names.
    places: Vec<(String, Flux)>,
    /// Those that have ended; their actions may not have heard of it yet.
    dead: Vec<(String, Flux)>,
    started: usize,
}

impl<'w> Engines<'w> {
    #[track_caller]
    pub fn start(world: &'w World) -> Engines<'w> {
        let way = |_| Proxy::postgres(world.database.url());
        let mut engines = Engines {
            world,
            ways: (0..=ENGINES).map(way).collect(),
            places: Vec::new(),
            dead: Vec::new(),
            started: 0,
        };
        for place in 0..ENGINES {
            let name = engines.new_name();
            let engine = engines.new_engine(place, &name);
            engines.places.push((name, engine));
        }
        for (_, engine) in &engines.places {
            engine.wait_for_line("ready", flux_testkit::PATIENCE);
        }
        engines
    }

    fn new_name(&mut self) -> String {
        self.started += 1;
        format!("engine{}", self.started)
    }

    fn new_engine(&self, place: usize, name: &str) -> Flux {
        let world = self.world;
        let url = self.ways[place].url(world.database.url());
        let mut engine = world.cluster.engine_by(&url, name);
        engine = engine.env("FLUX_CONCURRENCY_LEVEL", "8");
        if let Some(library) = &world.faketime {
            self.set_calendar(place, 0);
            engine = engine
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", self.calendar(place))
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        engine.spawn()
    }

    /// The engine in this place.
    pub fn at(&mut self, place: usize) -> &mut Flux {
        &mut self.places[place].1
    }

    /// Whether there is one in every place.
    pub fn all_run(&mut self) -> bool {
        self.places.iter_mut().all(|(_, engine)| engine.runs())
    }

    pub fn way(&self, way: usize) -> &Proxy {
        &self.ways[way]
    }

    /// Another engine comes into the place of one that has ended: with the same name, or a new one.
    pub fn replace(&mut self, place: usize, renamed: bool) {
        let name = match renamed {
            true => self.new_name(),
            false => self.places[place].0.clone(),
        };
        let engine = (name.clone(), self.new_engine(place, &name));
        let dead = std::mem::replace(&mut self.places[place], engine);
        self.dead.push(dead);
    }

    /// Takes down that a way was hindered since then.
    pub fn disturbed(&self, way: usize, since: Nanos) {
        if let Some((_, engine)) = self.places.get(way) {
            engine.disturbed(since);
        }
    }

    pub fn set_calendar(&self, place: usize, seconds: i32) {
        let new = self.calendar(place).with_extension("new");
        std::fs::write(&new, format!("{seconds:+}")).unwrap();
        std::fs::rename(new, self.calendar(place)).unwrap();
    }

    fn calendar(&self, place: usize) -> std::path::PathBuf {
        let directory = self.world.cluster.directory();
        directory.join(format!("place{place}.clock"))
    }
}

impl Drop for Engines<'_> {
    /// What the engines of a failed test said is kept.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos");
        let _ = std::fs::create_dir_all(&directory);
        for (name, engine) in self.dead.iter().chain(&self.places) {
            let file = directory.join(format!("{name}-{}.log", engine.id()));
            let _ = std::fs::write(file, engine.stderr().join("\n"));
        }
        let _ = std::fs::write(directory.join("server.log"), self.world.server.log());
        eprintln!("logs are in {}", directory.display());
    }
}
