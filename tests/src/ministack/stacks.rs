//! CloudFormation stacks, and what is in them: functions to invoke, roles to look into, alarms, objects.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Ministack;
use super::watching::between;
use crate::http::Request;

const REGION: &str = "us-east-1";

/// A stack.
#[derive(Debug)]
pub struct Stack<'a> {
    aws: &'a Ministack,
    name: String,
}

impl Ministack {
    /// Uploads a file.
    pub fn upload(&self, bucket: &str, key: &str, file: &Path) -> anyhow::Result<()> {
        self.s3("PUT", &format!("/{bucket}/{key}"), Some(&std::fs::read(file)?)).map(drop)
    }

    /// The keys in a bucket, ascending; of a thousand at most.
    pub fn keys(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let listed = String::from_utf8(self.s3("GET", &format!("/{bucket}?list-type=2"), None)?)?;
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        Ok(keys.map(str::to_owned).collect())
    }

    fn s3(&self, method: &str, path: &str, body: Option<&[u8]>) -> anyhow::Result<Vec<u8>> {
        let mut request = Request::new(method, &format!("{}{path}", self.endpoint()))?;
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.sign_for_s3(REGION, "test", "test").send()?;
        answer.success().with_context(|| format!("{method} {path}"))
    }

    /// A stack that is there.
    pub fn stack(&self, name: &str) -> Stack<'_> {
        Stack { aws: self, name: name.to_owned() }
    }

    /// Invokes a function and waits for its answer; an error of the function is one with `errorType`.
    pub fn invoke(&self, function: &str, event: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.endpoint());
        let answer = Request::new("POST", &url)?
            .body_of_type("application/json", event.to_string().as_bytes())
            .sign("lambda", REGION, "test", "test")
            .send()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        serde_json::from_slice(&answer.success().with_context(|| function.to_owned())?)
            .with_context(|| format!("{function} answered {text}"))
    }

    /// The statements of all policies of a role, inline and managed.
    pub fn statements(&self, role: &str) -> anyhow::Result<Vec<Value>> {
        let iam = |form: &str| self.query("iam", &format!("Version=2010-05-08&{form}"));
        let mut documents = Vec::new();
        let inline = iam(&format!("Action=ListRolePolicies&RoleName={role}"))?;
        for policy in members(&inline) {
            let answer = iam(&format!("Action=GetRolePolicy&RoleName={role}&PolicyName={policy}"))?;
            documents.push(between(&answer, "<PolicyDocument>", "</PolicyDocument>")?.to_owned());
        }
        let attached = iam(&format!("Action=ListAttachedRolePolicies&RoleName={role}"))?;
        for arn in attached.split("<PolicyArn>").skip(1).filter_map(|rest| rest.split("</PolicyArn>").next())
        {
            let arn = encoded(arn);
            let policy = iam(&format!("Action=GetPolicy&PolicyArn={arn}"))?;
            let version = between(&policy, "<DefaultVersionId>", "</DefaultVersionId>")?;
            let answer = iam(&format!("Action=GetPolicyVersion&PolicyArn={arn}&VersionId={version}"))?;
            documents.push(between(&answer, "<Document>", "</Document>")?.to_owned());
        }
        let mut statements = Vec::new();
        for document in documents {
            let document: Value = serde_json::from_str(&unescaped(&document)?).context(document)?;
            statements.extend(document["Statement"].as_array().cloned().unwrap_or_default());
        }
        Ok(statements)
    }

    /// The state of an alarm: `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub fn alarm_state(&self, name: &str) -> anyhow::Result<String> {
        let target = "GraniteServiceVersion20100801.DescribeAlarms";
        let answer = self.json("monitoring", target, &json!({ "AlarmNames": [name] }))?;
        let state = answer["MetricAlarms"][0]["StateValue"].as_str().map(str::to_owned);
        state.with_context(|| format!("no alarm {name}: {answer}"))
    }

    /// Sets the current version of a secret, by its name or ARN.
    pub fn put_secret(&self, id: &str, text: &str) -> anyhow::Result<()> {
        self.rotate_secret(id, text)
    }
}

impl Stack<'_> {
    /// The value of an output.
    pub fn output(&self, key: &str) -> anyhow::Result<String> {
        let described = self.described()?;
        let (_, rest) = described
            .split_once(&format!("<OutputKey>{key}</OutputKey>"))
            .with_context(|| format!("{} has no output {key}", self.name))?;
        Ok(between(rest, "<OutputValue>", "</OutputValue>")?.to_owned())
    }

    /// What a resource is called outside of the stack.
    pub fn physical(&self, id: &str) -> anyhow::Result<String> {
        let form = format!(
            "Action=DescribeStackResource&Version=2010-05-15&StackName={}&LogicalResourceId={id}",
            self.name
        );
        let answer = self.aws.query("cloudformation", &form)?;
        Ok(between(&answer, "<PhysicalResourceId>", "</PhysicalResourceId>")?.to_owned())
    }

    /// Whether it has been deleted.
    pub fn is_gone(&self) -> bool {
        self.described().is_err_and(|error| format!("{error:#}").contains("does not exist"))
    }

    fn described(&self) -> anyhow::Result<String> {
        let form = format!("Action=DescribeStacks&Version=2010-05-15&StackName={}", self.name);
        self.aws.query("cloudformation", &form)
    }
}

fn members(xml: &str) -> impl Iterator<Item = &str> {
    xml.split("<member>").skip(1).filter_map(|rest| rest.split("</member>").next())
}

/// As in a form: RFC 3986's unreserved characters stand for themselves.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A policy in an answer: percent-encoded by IAM, or escaped as XML.
fn unescaped(text: &str) -> anyhow::Result<String> {
    let text = text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    if text.trim_start().starts_with('{') {
        return Ok(text);
    }
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits)?, 16)?);
    }
    Ok(String::from_utf8(bytes)?)
}
