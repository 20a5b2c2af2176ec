//! The generated files are those of the interfaces in `proto/`.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;

const FILES: [&str; 5] = [
    "flux/v1/engine.proto",
    "flux/v1/run.proto",
    "flux/v1/service.proto",
    "flux/v1/workflow.proto",
    "flux/peer/v1/peer.proto",
];

const OUTPUT: [&str; 3] = ["descriptors.bin", "flux.peer.v1.rs", "flux.v1.rs"];

fn generate(into: &Path) {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut compiler = protox::Compiler::new([&proto]).expect("the folder is there");
    compiler.include_source_info(true).include_imports(true);
    let compiled = compiler.open_files(FILES);
    let descriptors = compiled.unwrap_or_else(|error| panic!("{error:?}"));
    let descriptors = descriptors.file_descriptor_set();
    fs::write(into.join("descriptors.bin"), descriptors.encode_to_vec()).expect("it is writable");
    tonic_prost_build::configure()
        .build_transport(false)
        .out_dir(into)
        .compile_fds(descriptors)
        .expect("it can be generated");
}

#[test]
fn the_generated_files_are_up_to_date() {
    let committed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    if std::env::var_os("FLUX_REGENERATE").is_some() {
        return generate(&committed);
    }
    let fresh = tempfile::tempdir().expect("a temporary folder");
    generate(fresh.path());
    for file in OUTPUT {
        let [new, old] = [fresh.path(), &committed].map(|folder| {
            fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
        });
        assert!(
            new == old,
            "{file} is out of date: FLUX_REGENERATE=1 cargo test -p flux-proto"
        );
    }
}

/// Whoever adds a file names it above.
#[test]
fn every_interface_is_generated() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    for folder in ["flux/v1", "flux/peer/v1"] {
        for entry in fs::read_dir(proto.join(folder)).expect("the folder is there") {
            let name = entry.expect("it can be read").file_name();
            let path = format!("{folder}/{}", name.to_str().expect("it is text"));
            assert!(FILES.contains(&path.as_str()), "{path}");
        }
    }
}
