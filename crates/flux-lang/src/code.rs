//! The codes of diagnostics: stable, so that tools and people can refer to them.

/// A row of the code table.
#[derive(Clone, Copy, Debug)]
pub struct CodeInfo {
    /// The code, such as `FLUX-L010`.
    pub code: &'static str,
    /// What it stands for, in one line.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal;)*) => {
        $(#[doc = $title] pub(crate) const $name: &str = $code;)*
        /// Every code: `L0..` the text is wrong, `L1..` the standard has it and Flux does not,
        /// `L2..` a warning.
        pub const CODES: &[CodeInfo] = &[$(CodeInfo { code: $code, title: $title },)*];
    };
}

codes! {
    SYNTAX = "FLUX-L001", "The text is neither YAML nor JSON";
    DUPLICATE_KEY = "FLUX-L002", "A key is written twice in one object";
    TOO_LARGE = "FLUX-L003", "A limit of size, nesting or number of tasks is exceeded";
    YAML_FEATURE = "FLUX-L004", "A feature of YAML that definitions must not use";
    EMPTY = "FLUX-L005", "There is no definition in the text";
    UNKNOWN_KEY = "FLUX-L010", "A key that means nothing here";
    MISSING_KEY = "FLUX-L011", "A required key is missing";
    WRONG_TYPE = "FLUX-L012", "A value of the wrong type";
    WRONG_VALUE = "FLUX-L013", "A value that is not allowed here";
    TASK_KIND = "FLUX-L014", "A task that does nothing, or two things";
    TASK_ITEM = "FLUX-L015", "An entry of a task list that is not one name with one task";
    EMPTY_BODY = "FLUX-L016", "A list of tasks, cases or branches without entries";
    DUPLICATE_TASK = "FLUX-L017", "Two tasks of one scope have the same name";
    RESERVED_NAME = "FLUX-L018", "A name that is a directive or not usable as a variable";
    EXPRESSION = "FLUX-L020", "An expression that does not compile";
    EMBEDDED = "FLUX-L021", "An expression inside other text";
    UNKNOWN_NAME = "FLUX-L022", "A name that is not defined under `use`";
    UNKNOWN_TARGET = "FLUX-L023", "`then` names a task that is not in the same scope";
    DURATION = "FLUX-L024", "Not a duration";
    CRON = "FLUX-L025", "Not a cron expression of five fields, or one that never fires";
    TIME = "FLUX-L026", "Not a time expression";
    SCHEMA = "FLUX-L027", "Not a JSON Schema";
    URI = "FLUX-L028", "Not a usable URI template";
    DEFAULT_CASE = "FLUX-L029", "A case without `when` that is not the last one";
    RECURSION = "FLUX-L030", "A function that calls itself";
    ARGUMENTS = "FLUX-L031", "Arguments that violate the function's input schema";
    CONFLICT = "FLUX-L032", "Two settings that exclude each other";
    NO_GRPC = "FLUX-L101", "Not supported: call grpc";
    NO_OPENAPI = "FLUX-L102", "Not supported: call openapi";
    NO_ASYNCAPI = "FLUX-L103", "Not supported: call asyncapi";
    NO_A2A = "FLUX-L104", "Not supported: call a2a";
    NO_MCP = "FLUX-L105", "Not supported: call mcp";
    NO_CONTAINER = "FLUX-L106", "Not supported: run container";
    NO_EXTENSIONS = "FLUX-L107", "Not supported: use.extensions";
    NO_CATALOG = "FLUX-L108", "Not supported: catalogs and functions behind a URL";
    NO_SCHEDULE_ON = "FLUX-L109", "Not supported: schedule.on";
    NO_SECRETS = "FLUX-L110", "Not supported: secrets";
    NO_RESOURCE = "FLUX-L111", "Not supported: external resources";
    NO_LANGUAGE = "FLUX-L112", "Not supported: this script language";
    NO_EVALUATE = "FLUX-L113", "Not supported: this expression language or mode";
    NO_AUTHENTICATION = "FLUX-L114", "Not supported: this authentication";
    NO_READ_RAW = "FLUX-L115", "Not supported: reading raw events";
    NO_DETACH = "FLUX-L116", "Not supported: a process nobody waits for";
    NO_EXPRESSION = "FLUX-L117", "Not supported: an expression where a literal is needed";
    NO_DSL = "FLUX-L118", "Not supported: this version of the language";
    NO_SCHEMA_FORMAT = "FLUX-L119", "Not supported: this schema format";
    UNREACHABLE = "FLUX-L201", "A task that can never run";
    BUSY_LOOP = "FLUX-L202", "A loop that never waits and never acts";
    SAME_EXPORT = "FLUX-L203", "Branches of one fork export the same context key";
    LOOKS_LIKE_EXPRESSION = "FLUX-L204", "Text that looks like an expression";
    YAML_1_1 = "FLUX-L205", "Text that YAML 1.1 reads as a boolean";
}
