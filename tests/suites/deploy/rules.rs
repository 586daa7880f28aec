//! Promises of the templates, as rules: what must stay whatever is changed. What only Amazon itself could show, such as a
//! lifecycle transition or a blocked public access, is at least known to be asked for.

use std::collections::BTreeSet;

use anyhow::Context as _;
use pgark::config::LockOnWrite;
use pgark::repository::Tier;
use serde_json::{Value, json};

use crate::Result;
use crate::template::{Resource, Template, list, texts};

const TEMPLATES: [&str; 4] = [
    "template.yaml",
    "infra/storage.yaml",
    "infra/replication-target.yaml",
    "infra/cloudflare-worker/invoker.yaml",
];

/// What nobody can get back once it is gone.
const KEPT: [&str; 5] = [
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::KMS::Key",
    "AWS::KMS::Alias",
    "AWS::SecretsManager::Secret",
];

#[test]
fn deleting_a_stack_deletes_no_backup_no_key_and_no_secret() -> Result {
    let mut kept = 0;
    for path in TEMPLATES {
        let template = Template::read(path)?;
        for resource in template.resources().filter(|resource| KEPT.contains(&resource.kind)) {
            assert_ne!(path, "template.yaml", "{} belongs into infra/storage.yaml", resource.id);
            for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
                assert_eq!(resource.whole[policy], "Retain", "{path}: {policy} of {}", resource.id);
            }
            kept += 1;
        }
    }
    assert!(kept >= 11, "{kept}");
    Ok(())
}

fn buckets() -> Result<Vec<(String, Value)>> {
    let mut buckets = Vec::new();
    for path in TEMPLATES {
        let template = Template::read(path)?;
        for bucket in template.of_kind("AWS::S3::Bucket") {
            buckets.push((format!("{path}: {}", bucket.id), bucket.properties().clone()));
        }
    }
    Ok(buckets)
}

#[test]
fn buckets_are_private_encrypted_and_given_up_uploads_go() -> Result {
    for (name, bucket) in buckets()? {
        let public = bucket["PublicAccessBlockConfiguration"].as_object().with_context(|| name.clone())?;
        assert_eq!(public.len(), 4, "{name}");
        assert!(public.values().all(|value| value == &json!(true)), "{name}");
        assert_eq!(
            bucket["OwnershipControls"]["Rules"],
            json!([{ "ObjectOwnership": "BucketOwnerEnforced" }]),
            "{name}"
        );
        assert!(!bucket["BucketEncryption"].is_null(), "{name}");
        let rules = bucket["LifecycleConfiguration"]["Rules"].as_array().cloned().unwrap_or_default();
        let abort = rules
            .iter()
            .find_map(|rule| rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"].as_u64());
        assert_eq!(abort, Some(2), "{name}");
        if !name.ends_with("LogBucket") {
            assert_eq!(bucket["VersioningConfiguration"], json!({ "Status": "Enabled" }), "{name}");
        }
    }
    Ok(())
}

fn statement<'a>(policy: &'a Value, sid: &str) -> Result<&'a Value> {
    let statements = policy["PolicyDocument"]["Statement"].as_array().context("statements")?;
    statements.iter().find(|statement| statement["Sid"] == sid).with_context(|| format!("no statement {sid}"))
}

#[test]
fn requests_need_tls_and_nothing_is_overwritten() -> Result {
    for (path, policy) in [
        ("infra/storage.yaml", "BucketPolicy"),
        ("infra/storage.yaml", "LogBucketPolicy"),
        ("infra/replication-target.yaml", "BucketPolicy"),
    ] {
        let template = Template::read(path)?;
        let tls = statement(template.resource(policy)?.properties(), "TlsOnly")?.clone();
        assert_eq!(
            (&tls["Effect"], &tls["Principal"], &tls["Action"]),
            (&json!("Deny"), &json!("*"), &json!("s3:*"))
        );
        assert_eq!(tls["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }), "{path}");
        assert_eq!(tls["Resource"].as_array().map(Vec::len), Some(2), "{path}: the bucket and what is in it");
    }
    let storage = Template::storage()?;
    let create_only =
        statement(storage.resource("BucketPolicy")?.properties(), "NothingIsOverwritten")?.clone();
    assert_eq!((&create_only["Effect"], &create_only["Action"]), (&json!("Deny"), &json!("s3:PutObject")));
    assert_eq!(
        create_only["Condition"],
        json!({ "Null": { "s3:if-none-match": "true" }, "Bool": { "s3:ObjectCreationOperation": "true" } })
    );
    Ok(())
}

fn days(template: &Template, value: &Value) -> Result<u64> {
    match value.as_u64() {
        Some(days) => Ok(days),
        None => Ok(template.default(value["Ref"].as_str().context("days")?)?.parse()?),
    }
}

/// How long the policy of template.yaml keeps a backup of a tier at least.
fn kept_days(keep: &str, tier: Tier) -> Result<u64> {
    let rule = keep.split(',').map(str::trim).find_map(|rule| rule.strip_prefix(&format!("{tier} ")));
    let count: u64 = rule.with_context(|| format!("{keep}: nothing of {tier}"))?.parse()?;
    Ok(count
        * match tier {
            Tier::Daily => 1,
            Tier::Weekly => 7,
            Tier::Monthly => 31,
            Tier::Yearly => 366,
        })
}

/// Expiry is the backstop for a prune that never runs. It must not be the one that deletes.
#[test]
fn every_tier_changes_its_class_late_and_expires_much_later_than_prune_deletes() -> Result {
    let (application, storage) = (Template::application()?, Template::storage()?);
    let keep = application.default("Keep")?;
    let rules = storage.resource("Bucket")?.properties()["LifecycleConfiguration"]["Rules"].clone();
    let rules: Vec<Value> = rules.as_array().context("rules")?.iter().map(unconditional).collect();
    for tier in Tier::ALL {
        let prefix = format!("{tier}/");
        let of_tier: Vec<&Value> = rules.iter().filter(|rule| rule["Prefix"] == prefix.as_str()).collect();
        let expiry = of_tier.iter().find(|rule| !rule["ExpirationInDays"].is_null()).context("no expiry")?;
        let (expiry, kept) = (days(&storage, &expiry["ExpirationInDays"])?, kept_days(&keep, tier)?);
        assert!(expiry > kept + 60, "{tier}: expires after {expiry} days, and prune keeps it for {kept}");
        let class = of_tier.iter().find(|rule| !rule["Transitions"].is_null()).context("no class")?;
        // Manifests must be read at once, and are small; and S3 takes no rule that ends a name.
        assert_eq!(class["ObjectSizeGreaterThan"], json!({ "Ref": "ColdBytesMin" }), "{tier}");
        let class = &class["Transitions"][0]["StorageClass"];
        let class = class["Ref"].as_str().map_or_else(
            || Ok(class.as_str().unwrap_or_default().to_owned()),
            |name| storage.default(name),
        )?;
        let expected = match tier {
            Tier::Daily | Tier::Weekly => "STANDARD_IA",
            Tier::Monthly => "GLACIER",
            Tier::Yearly => "DEEP_ARCHIVE",
        };
        assert_eq!(class, expected, "{tier}");
    }
    let locked =
        LockOnWrite::parse(&lock_default(&storage)?).map_err(anyhow::Error::msg)?.context("a lock")?;
    for tier in Tier::ALL {
        let (locked, kept) = (u64::from(locked.days(tier).context("days")?), kept_days(&keep, tier)?);
        assert!(locked <= kept, "{tier}: locked for {locked} days, and prune wants it gone after {kept}");
    }
    Ok(())
}

/// `!If [condition, rule, nothing]` -> rule.
fn unconditional(rule: &Value) -> Value {
    rule["Fn::If"].get(1).unwrap_or(rule).clone()
}

/// The output `ObjectLock`, with `GOVERNANCE` and the defaults of its days.
fn lock_default(storage: &Template) -> Result<String> {
    let output = &storage.section("Outputs")["ObjectLock"]["Value"]["Fn::If"][1]["Fn::Sub"];
    let mut text = output.as_str().context("an output")?.replace("${ObjectLock}", "GOVERNANCE");
    for tier in ["Daily", "Weekly", "Monthly", "Yearly"] {
        text = text.replace(&format!("${{LockDays{tier}}}"), &storage.default(&format!("LockDays{tier}"))?);
    }
    Ok(text)
}

/// All that the store ever holds falls under a rule, but holds, which a person sets and lifts.
#[test]
fn the_lifecycle_knows_every_folder_of_the_store() -> Result {
    for path in ["infra/storage.yaml", "infra/replication-target.yaml"] {
        let template = Template::read(path)?;
        let rules = template.resource("Bucket")?.properties()["LifecycleConfiguration"]["Rules"].clone();
        let expiring: BTreeSet<String> = rules
            .as_array()
            .context("rules")?
            .iter()
            .map(unconditional)
            .filter(|rule| !rule["ExpirationInDays"].is_null())
            .filter_map(|rule| rule["Prefix"].as_str().map(str::to_owned))
            .collect();
        let known = ["daily/", "weekly/", "monthly/", "yearly/", "reports/", "runs/", "leases/", "alerts/"];
        assert_eq!(expiring, known.into_iter().map(str::to_owned).collect(), "{path}");
    }
    Ok(())
}

fn roles(template: &Template) -> Vec<(String, Vec<Value>)> {
    let statements = |resource: &Resource<'_>| -> Vec<Value> {
        let policies = resource.properties()["Policies"].as_array().cloned().unwrap_or_default();
        let own =
            policies.iter().filter_map(|policy| policy["PolicyDocument"]["Statement"].as_array().cloned());
        own.flatten().map(|statement| unconditional(&statement)).collect()
    };
    template.of_kind("AWS::IAM::Role").map(|role| (role.id.to_owned(), statements(&role))).collect()
}

fn who_may(template: &Template, allowed: impl Fn(&str, &[&str]) -> bool) -> BTreeSet<String> {
    let may = |statements: &[Value]| {
        statements.iter().any(|statement| {
            let resources = texts(&statement["Resource"]);
            list(&statement["Action"]).iter().any(|action| allowed(action, &resources))
        })
    };
    roles(template).into_iter().filter(|(_, statements)| may(statements)).map(|(role, _)| role).collect()
}

/// The same as `policies` finds at the stand-in, here for whatever parameters are set.
#[test]
fn dangerous_rights_are_in_few_hands() -> Result {
    let template = Template::application()?;
    let all = |roles: &[&str]| roles.iter().map(|role| (*role).to_owned()).collect::<BTreeSet<_>>();
    let deletes_more_than_leases = |action: &str, resources: &[&str]| {
        let leases = |resource: &&str| resource.starts_with("${B}/leases/") && !resource.contains(',');
        // The texts of a resource are those of the function that puts it together, too.
        let own = resources.iter().filter(|resource| resource.starts_with("${B}/"));
        action == "s3:DeleteObject" && !own.clone().all(leases) || action == "s3:Delete*"
    };
    assert_eq!(who_may(&template, deletes_more_than_leases), all(&["PruneRole"]));
    assert_eq!(who_may(&template, |action, _| action.contains('*')), all(&[]), "an action with a star");
    for never in [
        "s3:DeleteObjectVersion",
        "s3:PutLifecycleConfiguration",
        "s3:BypassGovernanceRetention",
        "iam:PassRole",
    ] {
        assert_eq!(who_may(&template, |action, _| action == never), all(&[]), "{never}");
    }
    let secret = |name: &'static str| {
        move |action: &str, resources: &[&str]| {
            action == "secretsmanager:GetSecretValue"
                && resources.iter().any(|resource| resource.contains(name))
        }
    };
    assert_eq!(who_may(&template, secret("IdentitySecretArn")), all(&["RestoreTestRole"]));
    assert_eq!(who_may(&template, secret("SigningKeySecretArn")), all(&["BackupRole"]));
    assert_eq!(who_may(&template, secret("-DatabaseSecretArn")), all(&["BackupRole"]));
    let reads_data = |action: &str, resources: &[&str]| {
        action == "s3:GetObject" && resources.iter().any(|resource| resource.contains("/daily/*"))
    };
    assert_eq!(who_may(&template, reads_data), all(&["RestoreTestRole", "VerifyRole"]));
    // Whatever asks KMS asks through S3.
    for (role, statements) in roles(&template) {
        for statement in statements
            .iter()
            .filter(|one| list(&one["Action"]).iter().any(|action| action.starts_with("kms:")))
        {
            assert!(!statement["Condition"]["StringEquals"]["kms:ViaService"].is_null(), "{role}");
        }
    }
    Ok(())
}

#[test]
fn every_function_has_a_role_of_its_own_a_log_that_ends_and_told_failures() -> Result {
    let template = Template::application()?;
    let mut seen = BTreeSet::new();
    for function in template.of_kind("AWS::Serverless::Function") {
        let properties = function.properties();
        let role = properties["Role"]["Fn::GetAtt"][0].as_str().context("a role")?;
        let log = properties["LoggingConfig"]["LogGroup"]["Ref"].as_str().context("a log group")?;
        let shared = function.id == "RestoreTestImageFunction";
        assert!(seen.insert(role.to_owned()) || shared, "{role} is another function's");
        assert_eq!(role.strip_suffix("Role"), log.strip_suffix("Log"), "{}", function.id);
        assert_eq!(template.resource(log)?.properties()["RetentionInDays"], json!({ "Ref": "LogDays" }));
        assert_eq!(properties["LoggingConfig"]["LogFormat"], "JSON", "{}", function.id);
        let level = &properties["LoggingConfig"]["ApplicationLogLevel"];
        assert_eq!(level, &json!({ "Ref": "LogLevel" }), "{}", function.id);
        let retries = &properties["EventInvokeConfig"];
        assert!(
            retries["MaximumRetryAttempts"].is_u64() && retries["MaximumEventAgeInSeconds"].is_u64(),
            "{}",
            function.id
        );
        // The health check fails whenever something is unhealthy, and tells that itself.
        let told = &retries["DestinationConfig"]["OnFailure"];
        assert_eq!(told.is_null(), function.id == "HealthCheckFunction", "{}", function.id);
    }
    assert_eq!(template.section("Globals")["Function"]["Timeout"], 900);
    Ok(())
}

#[test]
fn schedules_are_retried_and_what_is_lost_is_seen() -> Result {
    let template = Template::application()?;
    for schedule in template.of_kind("AWS::Scheduler::Schedule") {
        let target = &schedule.properties()["Target"];
        assert!(target["RetryPolicy"]["MaximumRetryAttempts"].is_u64(), "{}", schedule.id);
        assert_eq!(
            target["DeadLetterConfig"]["Arn"],
            json!({ "Fn::GetAtt": ["DeadLetters", "Arn"] }),
            "{}",
            schedule.id
        );
    }
    for (parameter, expected) in
        [("BackupSchedule", "cron(0 2 * * ? *)"), ("HealthSchedule", "rate(6 hours)")]
    {
        assert_eq!(template.default(parameter)?, expected);
    }
    Ok(())
}

#[test]
fn alarms_reach_people_and_silence_is_heard() -> Result {
    let template = Template::application()?;
    for alarm in template.of_kind("AWS::CloudWatch::Alarm") {
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm.properties()[actions], json!([{ "Ref": "Alerts" }]), "{}: {actions}", alarm.id);
        }
    }
    for (alarm, hours) in [("BackupMissing", 26), ("HealthCheckMissing", 13)] {
        let missing = template.resource(alarm)?.properties().clone();
        assert_eq!(missing["TreatMissingData"], "breaching", "{alarm}");
        assert_eq!(
            (&missing["Period"], &missing["EvaluationPeriods"]),
            (&json!(3600), &json!(hours)),
            "{alarm}"
        );
        assert!(missing["DatapointsToAlarm"].is_null(), "{alarm}: only if all hours are without success");
        assert_eq!(
            (&missing["ComparisonOperator"], &missing["Threshold"]),
            (&json!("LessThanThreshold"), &json!(1))
        );
    }
    // 80 % of the functions' 900 s, in milliseconds.
    for alarm in template.of_kind("AWS::CloudWatch::Alarm").filter(|alarm| alarm.id.ends_with("NearTimeout"))
    {
        assert_eq!(alarm.properties()["Threshold"], 720_000, "{}", alarm.id);
    }
    // "an alarm's total current evaluation period can be no longer than seven days" (PutMetricAlarm).
    for alarm in template.of_kind("AWS::CloudWatch::Alarm") {
        let number = |name: &str| alarm.properties()[name].as_u64().unwrap_or_default();
        assert!(number("Period") * number("EvaluationPeriods") <= 7 * 86_400, "{}", alarm.id);
    }
    Ok(())
}
