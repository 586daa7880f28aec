//! What the storage stack keeps, and what it gives to the application: names that never change as exports, and what may
//! change as parameters of Systems Manager.

use std::collections::BTreeSet;

use anyhow::Context as _;
use pgark::config::LockOnWrite;
use serde_json::{Value, json};

use crate::Result;
use crate::rules::{TEMPLATES, roles, unconditional};
use crate::template::{Resource, Template, list, texts};

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
            assert_kept(path, &resource);
            kept += 1;
        }
    }
    assert!(kept >= 11, "{kept}");
    // A bucket that stays replicates for as long as the role is there, and says nothing when it is not.
    let storage = Template::storage()?;
    for id in ["ReplicationRole", "ReplicationPolicy"] {
        let resource = storage.resource(id)?;
        assert_kept("infra/storage.yaml", &resource);
        // Retained when its condition ends, it would be in the way of itself when it begins again.
        assert!(resource.whole["Condition"].is_null(), "{id}");
    }
    Ok(())
}

/// A first deployment that failed must leave nothing: most names are fixed, and the next one would find them taken.
fn assert_kept(path: &str, resource: &Resource<'_>) {
    let Resource { id, whole, .. } = resource;
    assert_eq!(whole["DeletionPolicy"], "RetainExceptOnCreate", "{path}: {id}");
    assert_eq!(whole["UpdateReplacePolicy"], "Retain", "{path}: {id}");
}

/// Parameters that decide what an export is called, and why that is right: to change them is to want another one.
const NAMING: [&str; 1] = ["BucketName"];

/// The parameters behind a value: its own, those of its conditions, and those that decide on what it names. What else a
/// resource has may change without its name and ARN.
fn parameters_behind(template: &Template, value: &Value, found: &mut BTreeSet<String>) -> Result {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| parameters_behind(template, item, found)),
        Value::Object(map) => map.iter().try_for_each(|(function, inner)| match (function.as_str(), inner) {
            ("Ref", Value::String(name)) => parameters_behind_name(template, name, found),
            ("Condition", Value::String(name)) => {
                parameters_behind(template, &template.section("Conditions")[name], found)
            }
            ("Fn::GetAtt", _) => {
                parameters_behind_name(template, inner[0].as_str().context("a resource")?, found)
            }
            ("Fn::Sub", Value::String(text)) => text
                .split("${")
                .skip(1)
                .filter_map(|rest| rest.split(['.', '}']).next())
                .try_for_each(|name| parameters_behind_name(template, name, found)),
            ("Fn::If", Value::Array(parts)) => {
                let condition = json!({ "Condition": parts[0] });
                parameters_behind(template, &condition, found)?;
                parts[1..].iter().try_for_each(|part| parameters_behind(template, part, found))
            }
            _ => parameters_behind(template, inner, found),
        }),
        _ => Ok(()),
    }
}

fn parameters_behind_name(template: &Template, name: &str, found: &mut BTreeSet<String>) -> Result {
    if !template.section("Parameters")[name].is_null() {
        found.insert(name.to_owned());
    } else if !name.starts_with("AWS::") {
        let resource = template.resource(name)?;
        // `createOnlyProperties` in CloudFormation's schema of the type.
        let naming = match resource.kind {
            "AWS::S3::Bucket" => "BucketName",
            "AWS::SecretsManager::Secret" => "Name",
            other => anyhow::bail!("nobody says what names a {other}"),
        };
        parameters_behind(template, &resource.properties()[naming], found)?;
        parameters_behind(template, &json!({ "Condition": resource.whole["Condition"] }), found)?;
    }
    Ok(())
}

fn exports(template: &Template) -> impl Iterator<Item = (&str, &Value)> {
    let outputs = template.section("Outputs").as_object().into_iter().flatten();
    outputs.filter_map(|(_, output)| Some((output["Export"]["Name"]["Fn::Sub"].as_str()?, output)))
}

/// `CloudFormation` refuses to change an export that is imported, and with it the whole deployment.
#[test]
fn what_is_exported_never_changes() -> Result {
    let storage = Template::storage()?;
    let mut names = BTreeSet::new();
    for (name, output) in exports(&storage) {
        let mut found = BTreeSet::new();
        parameters_behind(&storage, output, &mut found)?;
        let changing: Vec<&String> = found.iter().filter(|name| !NAMING.contains(&name.as_str())).collect();
        assert!(changing.is_empty(), "{name} follows {changing:?}");
        names.insert(name.replace("AWS::StackName", "StorageStack"));
    }
    assert!(names.len() >= 5, "{names:?}");
    // The other way round: what is imported is there.
    let application = Template::application()?;
    for section in ["Globals", "Resources"] {
        for text in texts(application.section(section)) {
            let imported = text.starts_with("${StorageStack}-");
            assert!(!imported || names.contains(text), "{text} is imported, and nobody exports it");
        }
    }
    Ok(())
}

#[test]
fn what_changes_in_the_storage_comes_as_parameters_of_systems_manager() -> Result {
    let (application, storage) = (Template::application()?, Template::storage()?);
    let stack = application.default("StorageStack")?;
    let mut offered = BTreeSet::new();
    for parameter in storage.of_kind("AWS::SSM::Parameter") {
        let name = parameter.properties()["Name"]["Fn::Sub"].as_str().context("a name")?;
        offered.insert(name.replace("${AWS::StackName}", &stack));
    }
    let parameters = application.section("Parameters").as_object().context("parameters")?.iter();
    let taken: BTreeSet<String> = parameters
        .filter(|(_, parameter)| parameter["Type"] == "AWS::SSM::Parameter::Value<String>")
        .map(|(name, _)| application.default(name))
        .collect::<Result<_>>()?;
    assert_eq!(taken, offered);
    assert_eq!(offered.len(), 3);
    // Systems Manager keeps no empty text.
    let parameter = storage.resource("ObjectLockParameter")?;
    let lock = &parameter.properties()["Value"]["Fn::If"][2];
    assert_eq!(LockOnWrite::parse(lock.as_str().context("a text")?).map_err(anyhow::Error::msg)?, None);
    Ok(())
}

/// So that the key may go and come without a change of any role, and what it encrypted stays readable.
#[test]
fn the_key_of_the_bucket_is_known_by_its_alias() -> Result {
    let (application, storage) = (Template::application()?, Template::storage()?);
    let alias = storage.resource("KeyAlias")?.properties()["AliasName"]["Fn::Sub"].clone();
    let alias = alias.as_str().context("an alias")?;
    let of_application = alias.replace("AWS::StackName", "StorageStack");
    let replicating =
        storage.resource("ReplicationPolicy")?.properties()["PolicyDocument"]["Statement"].clone();
    let replicating = replicating.as_array().context("statements")?.iter().map(unconditional);
    let mut statements = vec![("ReplicationPolicy".to_owned(), alias, replicating.collect::<Vec<_>>())];
    statements.extend(roles(&application).into_iter().map(|(role, all)| (role, &*of_application, all)));
    let mut seen = 0;
    for (role, alias, statements) in &statements {
        let of_key =
            |one: &&Value| list(&one["Action"]).contains(&"kms:Decrypt") && one["Sid"] != "KeysOfSecrets";
        for statement in statements.iter().filter(of_key) {
            assert_eq!(
                statement["Resource"]["Fn::Sub"],
                "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*",
                "{role}"
            );
            assert_eq!(
                statement["Condition"],
                json!({
                    "StringEquals": { "kms:ViaService": { "Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}" } },
                    "ForAnyValue:StringEquals": { "kms:ResourceAliases": { "Fn::Sub": alias } },
                }),
                "{role}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 6, "five functions, and the copy elsewhere");
    Ok(())
}

/// "`SseKmsEncryptedObjects` must be specified if `EncryptionConfiguration` is present", and the reverse, says S3.
#[test]
fn a_copy_with_a_key_is_one_of_encrypted_objects_too() -> Result {
    let storage = Template::storage()?;
    let bucket = storage.resource("Bucket")?;
    let rule = &bucket.properties()["ReplicationConfiguration"]["Fn::If"][1]["Rules"][0];
    let of_source = &rule["SourceSelectionCriteria"]["Fn::If"];
    let of_copy = &rule["Destination"]["EncryptionConfiguration"]["Fn::If"];
    assert_eq!(of_source[1], json!({ "SseKmsEncryptedObjects": { "Status": "Enabled" } }));
    assert_eq!(of_copy[1], json!({ "ReplicaKmsKeyID": { "Ref": "ReplicaKeyArn" } }));
    assert!(of_source[0].is_string());
    assert_eq!(of_source[0], of_copy[0]);
    let policy = storage.resource("ReplicationPolicy")?.properties()["PolicyDocument"]["Statement"].clone();
    let with_keys =
        policy.as_array().context("statements")?.iter().filter(|one| one.to_string().contains("kms:"));
    let conditions: Vec<&Value> = with_keys.map(|one| &one["Fn::If"][0]).collect();
    assert_eq!(conditions, [&of_copy[0], &of_copy[0]]);
    Ok(())
}

/// S3 moves no younger object to `STANDARD_IA`, and refuses the rules altogether.
#[test]
fn daily_backups_change_their_class_after_thirty_days_or_never() -> Result {
    let storage = Template::storage()?;
    let parameter = &storage.section("Parameters")["DailyInfrequentAccessDays"];
    assert_eq!(
        (&parameter["Type"], &parameter["Default"], &parameter["AllowedPattern"]),
        (&json!("String"), &json!("0"), &json!("^(0|[3-9][0-9]|[1-9][0-9]{2,3})$"))
    );
    assert_eq!(
        storage.section("Conditions")["DailyGoesCold"],
        json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": "DailyInfrequentAccessDays" }, "0"] }] })
    );
    Ok(())
}
