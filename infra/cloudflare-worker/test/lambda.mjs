// A stand-in for Lambda's Invoke that checks signatures by its own reading of AWS's documentation, not with the library
// that the Worker signs with: "Create a signed AWS API request" (IAM User Guide).

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

export const KEY = { id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const CLOCK_SKEW_MS_MAX = 5 * 60_000;

// `answers` are given one after the other, and the last one from then on: a status, or "cut" to close the connection.
export async function lambda(...answers) {
  const calls = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const wrong = problem(request, body);
      const answer = answers[Math.min(calls.length, answers.length - 1)] ?? 202;
      calls.push({ method: request.method, url: request.url, headers: request.headers, body: body.toString(), wrong });
      if (wrong) {
        response.writeHead(403).end(JSON.stringify({ message: wrong }));
      } else if (answer === "cut") {
        request.socket.destroy();
      } else {
        response.writeHead(answer).end(answer === 202 ? "" : JSON.stringify({ message: `answer ${answer}` }));
      }
    });
  });
  return { calls, ...(await listening(server)) };
}

// Whatever hears of failures.
export async function webhook(...statuses) {
  const texts = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      response.writeHead(statuses[Math.min(texts.length, statuses.length - 1)] ?? 200).end();
      texts.push(JSON.parse(body).text);
    });
  });
  return { texts, ...(await listening(server)) };
}

async function listening(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve)));
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

// What is wrong with a request's signature; undefined if nothing is.
export function problem(request, body) {
  const parsed = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
    request.headers.authorization ?? "",
  );
  if (!parsed) return "no signature of version 4";
  const [, keyId, day, region, service, signedHeaders, signature] = parsed;
  if (keyId !== KEY.id) return "unknown access key";
  if (service !== "lambda") return `signed for ${service}`;
  const date = request.headers["x-amz-date"] ?? "";
  const time = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!date.startsWith(day) || !(Math.abs(Date.now() - time) < CLOCK_SKEW_MS_MAX)) return `the date is ${date}`;
  const names = signedHeaders.split(";");
  for (const needed of ["host", "x-amz-date", "x-amz-invocation-type"]) {
    if (!names.includes(needed)) return `${needed} is not signed`;
  }
  const [path, query = ""] = request.url.split("?");
  const canonical = [
    request.method,
    // Encoded once more, as every service but S3 wants it.
    path.split("/").map(encoded).join("/"),
    query.split("&").sort().join("&"),
    ...names.map((name) => `${name}:${String(request.headers[name]).trim().replace(/ +/g, " ")}`),
    "",
    signedHeaders,
    createHash("sha256").update(body).digest("hex"),
  ].join("\n");
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", date, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
  const key = [day, region, service, "aws4_request"].reduce((of, part) => hmac(of, part), `AWS4${KEY.secret}`);
  const expected = hmac(key, toSign);
  return timingSafeEqual(expected, Buffer.from(signature, "hex")) ? undefined : "the signature does not match";
}

function hmac(key, text) {
  return createHmac("sha256", key).update(text).digest();
}

function encoded(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
