//! That template, code, events and documents name the same things.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};
use pgark::config::{RawSettings, SOURCES};
use pgark::jobs::backup::Backup;
use pgark::jobs::health::Health;
use pgark::jobs::prune::Prune;
use pgark::jobs::restore_test::RestoreTest;
use pgark::jobs::verify::Verify;
use pgark::lambda::{Arguments, arguments};
use pgark::runs::JobName;
use pgark::telemetry::Metric;
use pgark_tests::repository;
use serde_json::{Value, json};

use crate::Result;
use crate::template::{Template, texts};

const FUNCTION: &str = "AWS::Serverless::Function";

fn folders(path: &str) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(repository().join(path))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

#[test]
fn every_function_folder_has_a_resource_and_the_reverse() -> Result {
    let template = Template::application()?;
    let mut built = BTreeSet::new();
    for function in template.of_kind(FUNCTION) {
        let properties = function.properties();
        if properties["PackageType"] == "Image" {
            continue;
        }
        let folder = properties["CodeUri"].as_str().and_then(|uri| uri.strip_prefix("functions/"));
        let folder = folder.with_context(|| format!("{} has no folder of code", function.id))?;
        assert!(built.insert(folder.to_owned()), "functions/{folder} is in two resources");
        assert_eq!(function.whole["Metadata"]["BuildMethod"], "rust-cargolambda", "{}", function.id);
        assert_eq!(function.whole["Metadata"]["BuildProperties"]["Binary"], folder, "{}", function.id);
        assert_eq!(properties["Runtime"], "provided.al2023", "{}", function.id);
        assert_eq!(properties["FunctionName"]["Fn::Sub"], format!("${{AWS::StackName}}-{folder}"));
        // Names which the Makefile and infra/package derive.
        let words: String = folder.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        assert_eq!(function.id, format!("{words}Function"));
        ensure!(properties["Description"].is_string(), "{} does not say what it does", function.id);
    }
    assert_eq!(built, folders("functions")?);
    assert_eq!(built, folders("events")?);
    Ok(())
}

/// libpq's, which pg-archive knows (`connect/parameters.rs`).
const LIBPQ: [&str; 4] = ["PGHOST", "PGPORT", "PGDATABASE", "PGSSLMODE"];

/// What can be set and is not set in the template.
const NOT_IN_THE_TEMPLATE: &[(&str, &str)] = &[
    ("PGARK_DATABASE_URL", "holds a password: the secret takes its place"),
    ("PGARK_RESTORE_TEST_URL", "holds a password: the secret takes its place"),
    ("PGARK_SLACK_URL", "whoever knows it can post: the secret takes its place"),
    ("PGARK_WEBHOOK_URL", "whoever knows it can post: the secret takes its place"),
    ("PGARK_PING_URL", "whoever knows it can ping: the secret takes its place"),
    ("PGARK_IDENTITY_FILE", "there are no files in a function"),
    ("PGARK_SIGNING_KEY_FILE", "there are no files in a function"),
    ("PGARK_POSTGRES_BIN", "is set in the image of the restore test"),
    ("PGARK_ENCRYPTION", "no function writes what is not encrypted"),
    ("PGARK_TIER", "follows from the date"),
    ("PGARK_COMPRESSION", "the default suits"),
    ("PGARK_CHUNK_BYTES", "the default suits"),
    ("PGARK_LOCK_TIMEOUT", "the default suits"),
    ("PGARK_HEALTH_RUN_TIME", "a function has 15 minutes"),
    ("PGARK_HEALTH_VERIFY_LEVEL", "the function verify has no secret key, so it never looks at the content"),
    ("AWS_ENDPOINT_URL", "the function is at Amazon"),
    ("AWS_ENDPOINT_URL_S3", "the function is at Amazon"),
    ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "the function is at Amazon"),
    ("AWS_ENDPOINT_URL_SNS", "the function is at Amazon"),
    ("AWS_ENDPOINT_URL_CLOUDWATCH", "the function is at Amazon"),
    ("AWS_REGION", "is set by Lambda"),
];

fn variables(template: &Template) -> BTreeMap<&str, Vec<&str>> {
    let mut set: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let globals = &template.section("Globals")["Function"]["Environment"]["Variables"];
    for name in globals.as_object().into_iter().flat_map(|map| map.keys()) {
        set.entry(name).or_default().push("Globals");
    }
    for (id, resource) in template.section("Resources").as_object().into_iter().flatten() {
        let own = &resource["Properties"]["Environment"]["Variables"];
        for name in own.as_object().into_iter().flat_map(|map| map.keys()) {
            set.entry(name).or_default().push(id);
        }
    }
    set
}

#[test]
fn every_variable_is_a_setting_and_the_reverse() -> Result {
    let template = Template::application()?;
    let set = variables(&template);
    let known: BTreeSet<&str> = RawSettings::NAMES.iter().map(|(_, variable)| *variable).collect();
    for (variable, on) in &set {
        let elsewhere = LIBPQ.contains(variable) || *variable == SOURCES;
        assert!(known.contains(variable) || elsewhere, "no setting is called {variable} ({on:?})");
    }
    let excused: BTreeSet<&str> = NOT_IN_THE_TEMPLATE.iter().map(|(variable, _)| *variable).collect();
    for variable in &known {
        let (is_set, is_excused) = (set.contains_key(variable), excused.contains(variable));
        assert!(is_set || is_excused, "{variable} can be set, and the template does not say how");
        assert!(!(is_set && is_excused), "{variable} is set, so its excuse is not needed");
    }
    assert_eq!(excused.difference(&known).count(), 0, "an excuse for what is no setting");
    Ok(())
}

/// The restore test is the same function in two forms.
#[test]
fn both_forms_of_the_restore_test_are_set_alike() -> Result {
    let template = Template::application()?;
    let zip = template.resource("RestoreTestFunction")?;
    let image = template.resource("RestoreTestImageFunction")?;
    for property in ["Environment", "Role", "LoggingConfig", "VpcConfig", "EventInvokeConfig", "MemorySize"] {
        assert_eq!(zip.properties()[property], image.properties()[property], "{property}");
    }
    Ok(())
}

fn parses(function: &str, event: Value) -> Result {
    fn of<J: Arguments>(event: Value) -> Result {
        arguments::<J>(event)?;
        Ok(())
    }
    match function {
        "backup" => of::<Backup>(event),
        "verify" => of::<Verify>(event),
        "restore-test" => of::<RestoreTest>(event),
        "prune" => of::<Prune>(event),
        "health-check" => of::<Health>(event),
        other => anyhow::bail!("nobody says what the function {other} takes"),
    }
}

#[test]
fn every_event_is_one_of_its_function() -> Result {
    for function in folders("functions")? {
        let mut count = 0;
        for entry in fs::read_dir(repository().join("events").join(&function))? {
            let path = entry?.path();
            let name = path.display().to_string();
            parses(&function, serde_json::from_slice(&fs::read(&path)?)?).context(name)?;
            count += 1;
        }
        assert!(
            repository().join(format!("events/{function}/default.json")).is_file(),
            "make invoke-{function}"
        );
        assert!(count > 1, "events/{function}");
    }
    Ok(())
}

/// `make invoke-FUNCTION` and `make logs-FUNCTION`, wherever somebody is told to run them, name resources and events that are
/// there.
#[test]
fn every_make_target_of_a_function_is_one() -> Result {
    let template = Template::application()?;
    let mut told = BTreeSet::new();
    let pages = fs::read_dir(repository().join("docs"))?.map(|entry| Ok(entry?.path()));
    let pages = pages.collect::<Result<Vec<_>>>()?.into_iter().filter(|page| page.is_file());
    for page in pages.chain(["README.md", "template.yaml"].map(|name| repository().join(name))) {
        let text = fs::read_to_string(&page)?;
        for rest in ["make invoke-", "make logs-"].iter().flat_map(|start| text.split(start).skip(1)) {
            let name = rest.split(|c: char| c != '-' && !c.is_ascii_lowercase()).next().unwrap_or_default();
            told.insert(name.trim_end_matches('-').to_owned());
        }
    }
    told.remove(""); // `make invoke-FUNCTION`
    assert!(told.is_superset(&folders("functions")?), "{told:?}");
    for function in told {
        let mut make = Command::new("make");
        make.args(["--dry-run", &format!("invoke-{function}"), &format!("logs-{function}")]);
        let planned = make.current_dir(repository()).env_remove("MAKEFLAGS").output()?;
        let planned = String::from_utf8(planned.stdout)?;
        let words: Vec<&str> = planned.split([' ', '\n', ')']).collect();
        let after = |option: &str| {
            let at = words.iter().position(|word| *word == option).with_context(|| planned.clone())?;
            words.get(at + 1).copied().with_context(|| planned.clone())
        };
        let resource = template.resource(after("--name")?)?;
        assert_eq!(resource.kind, FUNCTION, "{planned}");
        assert!(words.iter().filter(|word| **word == resource.id).count() == 2, "{planned}");
        assert!(repository().join(after("--event-file")?).is_file(), "{planned}");
    }
    Ok(())
}

/// A dry run, so that nothing is deleted where the guard is missing.
#[test]
fn make_destroys_the_application_and_never_the_storage() -> Result {
    let destroy = |stack: &str| {
        Command::new("make")
            .args(["--dry-run", "destroy", &format!("STACK={stack}")])
            .current_dir(repository())
            .env_remove("MAKEFLAGS")
            .output()
    };
    let application = destroy("pgark")?;
    assert!(application.status.success(), "{application:?}");
    assert!(String::from_utf8(application.stdout)?.contains("sam delete --stack-name pgark\n"));
    let storage = destroy("pgark-storage")?;
    assert!(!storage.status.success(), "{storage:?}");
    assert!(String::from_utf8(storage.stderr)?.contains("pgark-storage holds the backups"));
    assert!(!String::from_utf8(storage.stdout)?.contains("sam delete"));
    Ok(())
}

/// What schedules send, in the template and in the Worker, is what functions take.
#[test]
fn the_input_of_every_schedule_is_an_event_of_its_function() -> Result {
    let template = Template::application()?;
    let mut functions = BTreeSet::new();
    for schedule in template.of_kind("AWS::Scheduler::Schedule") {
        let name = schedule.properties()["Name"]["Fn::Sub"].as_str().context("a name")?;
        let function = name.strip_prefix("${AWS::StackName}-").context("a name after the stack's")?;
        let target = &schedule.properties()["Target"];
        let words: String = function.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        assert!(texts(&target["Arn"]).contains(&format!("{words}Function").as_str()), "{name}: {target}");
        let input =
            target["Input"].as_str().or_else(|| target["Input"]["Fn::Sub"].as_str()).context("an input")?;
        let input = input.replace("${PruneApplies}", &template.default("PruneApplies")?);
        parses(function, serde_json::from_str(&input)?).with_context(|| format!("{function}: {input}"))?;
        functions.insert(function.to_owned());
    }
    assert_eq!(functions, folders("functions")?);

    // Restore tests stand there as a comment.
    let wrangler = fs::read_to_string(repository().join("infra/cloudflare-worker/wrangler.toml"))?;
    let wrangler: toml::Table = toml::from_str(&wrangler.replace("\n# \"", "\n\""))?;
    let mut functions = BTreeSet::new();
    for job in wrangler["vars"]["JOBS"].as_table().context("JOBS")?.values() {
        let function =
            job["function"].as_str().and_then(|name| name.strip_prefix("pgark-")).context("a function")?;
        let mut event: Value = serde_json::to_value(&job["event"])?;
        event["slot"] = "2026-11-21T02:00:00Z".into();
        parses(function, event).with_context(|| function.to_owned())?;
        functions.insert(function.to_owned());
    }
    assert_eq!(functions, folders("functions")?);
    Ok(())
}

fn metric(name: &str) -> Result<Metric> {
    Metric::ALL
        .iter()
        .copied()
        .find(|metric| metric.as_str() == name)
        .with_context(|| format!("no metric {name}"))
}

/// Each stack has a namespace of its own: in a common one, the success of one silences the alarms of another.
fn namespace_of_stack() -> Value {
    json!({ "Ref": "AWS::StackName" })
}

#[test]
fn functions_publish_where_alarms_look_and_nowhere_else() -> Result {
    let template = Template::application()?;
    let variables = &template.section("Globals")["Function"]["Environment"]["Variables"];
    assert_eq!(variables["PGARK_METRICS_NAMESPACE"], namespace_of_stack());
    let basics = template.resource("Basics")?.properties()["PolicyDocument"]["Statement"].clone();
    let basics = basics.as_array().context("statements")?.iter();
    let metrics: Vec<&Value> =
        basics.map(|one| one["Fn::If"].get(1).unwrap_or(one)).filter(|one| one["Sid"] == "Metrics").collect();
    let [metrics] = metrics[..] else { panic!("{metrics:?}") };
    assert_eq!(
        metrics["Condition"],
        json!({ "StringEquals": { "cloudwatch:namespace": namespace_of_stack() } })
    );
    Ok(())
}

#[test]
fn every_alarm_watches_a_metric_of_the_catalogue() -> Result {
    let template = Template::application()?;
    let mut ours = 0;
    for alarm in template.of_kind("AWS::CloudWatch::Alarm") {
        let properties = alarm.properties();
        let dimensions = properties["Dimensions"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = dimensions.iter().filter_map(|one| one["Name"].as_str()).collect();
        let name = properties["MetricName"].as_str().context("a metric")?;
        match &properties["Namespace"] {
            namespace if *namespace == namespace_of_stack() => {
                ours += 1;
                let metric = metric(name).with_context(|| alarm.id.to_owned())?;
                // An alarm watches all sources at once: it has the dimensions of the sums.
                let expected: Vec<&str> =
                    metric.subject().dimensions_of_all().iter().map(|dimension| dimension.as_str()).collect();
                assert_eq!(names, expected, "{}", alarm.id);
                for dimension in dimensions.iter().filter(|one| one["Name"] == "Job") {
                    let job = dimension["Value"].as_str().context("a job")?;
                    assert!(job.parse::<JobName>().is_ok(), "{}: {job}", alarm.id);
                }
            }
            // "Types of metrics for Lambda functions" (Lambda Developer Guide).
            Value::String(lambda) if lambda == "AWS/Lambda" => {
                assert!(["Errors", "Duration"].contains(&name) && names == ["FunctionName"]);
            }
            // "Available CloudWatch metrics for Amazon SQS" (SQS Developer Guide).
            Value::String(sqs) if sqs == "AWS/SQS" => {
                assert_eq!((name, &names[..]), ("ApproximateNumberOfMessagesVisible", &["QueueName"][..]));
            }
            other => panic!("{}: nobody knows the namespace {other}", alarm.id),
        }
    }
    assert!(ours >= 10, "{ours}");
    Ok(())
}

#[test]
fn the_dashboard_shows_metrics_of_the_catalogue_and_every_alarm() -> Result {
    let template = Template::application()?;
    let body = template.resource("Dashboard")?.properties()["DashboardBody"]["Fn::Sub"].clone();
    let body: Value = serde_json::from_str(body.as_str().context("a body")?)?;
    let mut shown = BTreeSet::new();
    for text in texts(&body).into_iter().filter(|text| text.starts_with("SEARCH(")) {
        let name = text.split("MetricName=\"").nth(1).and_then(|rest| rest.split('"').next());
        let metric = metric(name.with_context(|| text.to_owned())?)?;
        let dimensions: Vec<_> =
            metric.subject().dimensions().iter().map(|dimension| dimension.as_str()).collect();
        // Quoted, for a name may have a hyphen in it ("CloudWatch search expression syntax").
        let schema = format!("{{\"${{AWS::StackName}}\",{}}}", dimensions.join(","));
        assert!(text.contains(&schema), "{text}");
        shown.insert(metric.as_str());
    }
    for needed in
        ["StoredBytes", "RunDuration", "NewestBackupAge", "LastRestoreTestAge", "EstimatedStorageCost"]
    {
        assert!(shown.contains(needed), "{needed} is not shown");
    }
    let alarms: BTreeSet<String> =
        template.of_kind("AWS::CloudWatch::Alarm").map(|alarm| format!("${{{}.Arn}}", alarm.id)).collect();
    let listed: BTreeSet<String> =
        texts(&body["widgets"][0]["properties"]["alarms"]).into_iter().map(Into::into).collect();
    assert_eq!(listed, alarms);
    Ok(())
}

/// docs/deploy.md lists the alarms: each by name, or by what stands for the job in it.
#[test]
fn every_alarm_is_documented() -> Result {
    let page = fs::read_to_string(repository().join("docs/deploy.md"))?;
    let template = Template::application()?;
    let jobs = folders("functions")?;
    for alarm in template.of_kind("AWS::CloudWatch::Alarm") {
        let name = alarm.properties()["AlarmName"]["Fn::Sub"].as_str().context("a name")?;
        let name = name.strip_prefix("${AWS::StackName}-").context("a name after the stack's")?;
        let of_job = jobs.iter().find_map(|job| name.strip_prefix(&format!("{job}-")));
        let documented = page.contains(&format!("`{name}`"))
            || of_job.is_some_and(|rest| page.contains(&format!("`JOB-{rest}`")));
        assert!(documented, "docs/deploy.md does not know the alarm {name}");
    }
    Ok(())
}

/// "Create a Lambda function using a container image" (Lambda Developer Guide): one manifest, not an index of them, which
/// `docker build` makes as soon as it adds an attestation; and of the function's architecture.
#[test]
fn the_image_is_built_as_lambda_takes_it() -> Result {
    let page = fs::read_to_string(repository().join("docs/deploy.md"))?;
    let mut built = page.lines().filter(|line| line.starts_with("docker build "));
    let command = built.next().context("docs/deploy.md does not say how the image is built")?;
    for option in ["--provenance=false", "--sbom=false", "--platform linux/amd64"] {
        assert!(command.contains(option), "{option}: {command}");
    }
    assert!(built.next().is_none());
    Ok(())
}

/// Every parameter is in a group of the console's form, and samconfig.toml sets none that is not there.
#[test]
fn parameters_are_grouped_and_known_to_samconfig() -> Result {
    let samconfig: toml::Table = toml::from_str(&fs::read_to_string(repository().join("samconfig.toml"))?)?;
    for (path, environment, command) in
        [("template.yaml", "default", "global"), ("infra/storage.yaml", "storage", "deploy")]
    {
        let template = Template::read(path)?;
        let parameters: BTreeSet<&str> = template
            .section("Parameters")
            .as_object()
            .context("parameters")?
            .keys()
            .map(String::as_str)
            .collect();
        let groups = &template.section("Metadata")["AWS::CloudFormation::Interface"]["ParameterGroups"];
        let groups = groups.as_array().context("groups")?;
        let grouped: Vec<&str> = groups.iter().flat_map(|group| texts(&group["Parameters"])).collect();
        assert_eq!(grouped.len(), parameters.len(), "{path}: one in two groups, or in none");
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), parameters, "{path}");
        // A list of NAME=VALUE would be read otherwise than it looks: `CfnParameterOverridesType` of aws-sam-cli.
        let overrides = &samconfig[environment][command]["parameters"]["parameter_overrides"];
        for name in overrides.as_table().context("overrides are no table")?.keys() {
            assert!(parameters.contains(name.as_str()), "samconfig.toml: {path} has no parameter {name}");
        }
    }
    Ok(())
}

/// `sam build` reads no parameter that stands with `deploy`, and would build for `Architecture`'s default what is then
/// deployed as another one.
#[test]
fn what_is_built_is_what_is_deployed() -> Result {
    let samconfig: toml::Table = toml::from_str(&fs::read_to_string(repository().join("samconfig.toml"))?)?;
    let default = samconfig["default"].as_table().context("default")?;
    for (command, section) in default {
        let overrides = section.get("parameters").and_then(|all| all.get("parameter_overrides"));
        assert_eq!(overrides.is_some(), command == "global", "samconfig.toml: default.{command}");
    }
    assert!(default["global"]["parameters"]["parameter_overrides"]["Architecture"].is_str());
    Ok(())
}
