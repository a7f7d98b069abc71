/**
 * Client of a running server's API (docs/http-api.md). Uses `node:http`, since `fetch` refuses ports that browsers
 * block, such as 6000 and 10080, and a server may listen there.
 */
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { createInterface } from 'node:readline';
import { text as readText } from 'node:stream/consumers';
import { urlWithoutFinalDot } from '../config/host-name.ts';
import { codeOf, isRecord } from '../config/unknown-values.ts';

/** `url` as `apiAt` returns it. `token` is sent as a bearer token. */
export type Api = {
  readonly url: string;
  readonly token: string | undefined;
  /** Shown in messages in place of a URL that came from the environment. */
  readonly written?: string | undefined;
};

/** The URL for messages. */
export function shownUrl({ url, written }: Pick<Api, 'url' | 'written'>): string {
  return written ?? url;
}

export type ApiReply =
  | { readonly ok: true; readonly value: unknown }
  /** `message` is for the user; `status` is 0 without a response; `problem` is the body if it is JSON. */
  | { readonly ok: false; readonly message: string; readonly status: number; readonly problem: unknown };

/** The server is near and answers from memory; a reload of large zones takes longest. */
const TIMEOUT_MS = 30_000;

/** The server that `--api` names, or the mistake in it or in the token. An empty token counts as no token. */
export function apiAt(
  written: string,
  token: string | undefined,
): { readonly ok: true; readonly api: Api } | { readonly ok: false; readonly message: string } {
  const url = parseApiUrl(written);
  if (url === undefined) return { ok: false, message: `--api ${written} is not an http or https URL` };
  if (token === undefined || token === '') return { ok: true, api: { url, token: undefined } };
  // The rules of `status.token`: the server has no other tokens, and some could not be sent.
  if (/^[\x21-\x7e]+$/.test(token)) return { ok: true, api: { url, token } };
  return { ok: false, message: 'invalid token; use printable ASCII characters without spaces' };
}

/** Sends a request. Never throws for errors of the network or the server. `signal` cancels the request. */
export async function callApi(
  api: Api,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<ApiReply> {
  const headers = headersOf(api, 'application/json');
  if (body !== undefined) headers['content-type'] = 'application/json';
  const content = body === undefined ? '' : JSON.stringify(body);
  if (content !== '') headers['content-length'] = String(Buffer.byteLength(content));
  let response: IncomingMessage;
  let text: string;
  try {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const until = signal ? AbortSignal.any([limit, signal]) : limit;
    response = await send(new URL(`${api.url}${path}`), method, headers, content, until);
    text = await readText(response);
  } catch (error) {
    const why = `cannot reach ${shownUrl(api)}: ${networkReason(error)}`;
    const hint = 'is `pharos serve` running there, and is this its `status.listen`?';
    return { ok: false, message: `${why}; ${hint}`, status: 0, problem: undefined };
  }
  const value = parseJson(text);
  const { statusCode: status = 0, statusMessage = '' } = response;
  // Redirects are not followed: the token is for this server.
  const ok = status >= 200 && status < 300;
  if (ok && value !== undefined) return { ok: true, value };
  const message = ok
    ? `${shownUrl(api)} did not return JSON; is it a Pharos status server?`
    : (problemText(value) ?? `${shownUrl(api)} answered ${status} ${statusMessage}`.trimEnd());
  return { ok: false, message, status, problem: value };
}

/** The server sends a comment every 15 s: after this time without one, the connection is dead. */
const SILENCE_MS = 45_000;

export type EventStream =
  | { readonly ok: true; readonly data: AsyncIterable<string> }
  /** `message` is for the user. */
  | { readonly ok: false; readonly message: string };

/**
 * Opens a stream of server-sent events (WHATWG HTML 9.2), after the event with the id `last`. `data` ends with the
 * stream, however that ends. The server writes each event with one line of data.
 */
export async function openEvents(
  api: Api,
  path: string,
  last: string | undefined,
  signal: AbortSignal,
): Promise<EventStream> {
  const headers = headersOf(api, 'text/event-stream');
  if (last !== undefined) headers['last-event-id'] = last;
  try {
    const response = await send(new URL(`${api.url}${path}`), 'GET', headers, '', signal, SILENCE_MS);
    if (response.statusCode === 200) return { ok: true, data: dataLines(response) };
    return { ok: false, message: problemText(parseJson(await readText(response))) ?? 'no stream of events' };
  } catch (error) {
    return { ok: false, message: `cannot reach ${shownUrl(api)}: ${networkReason(error)}` };
  }
}

async function* dataLines(response: IncomingMessage): AsyncIterable<string> {
  const FIELD = 'data: ';
  try {
    for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
      if (line.startsWith(FIELD)) yield line.slice(FIELD.length);
    }
  } catch {
    // A broken connection ends the stream too.
  }
}

function headersOf({ token }: Api, accept: string): Record<string, string> {
  return token === undefined ? { accept } : { accept, authorization: `Bearer ${token}` };
}

/**
 * Resolves with the head of the response. Reading its body can fail for the same reasons. `silenceMs` is the longest
 * time without an octet from the server.
 */
function send(
  url: URL,
  method: string,
  headers: Readonly<Record<string, string>>,
  content: string,
  signal: AbortSignal,
  silenceMs = 0,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    // A new connection per request: after a restart the server does not know the old one.
    const request = send(url, { method, headers, agent: false, signal, timeout: silenceMs });
    request
      .on('response', resolve)
      .on('error', reject)
      .on('timeout', () => request.destroy(new Error(`no answer within ${silenceMs / 1000} s`)))
      .end(content);
  });
}

/** Without its final slash; `127.0.0.1:8053` means `http://127.0.0.1:8053`. Undefined if it is not an HTTP URL. */
function parseApiUrl(text: string): string | undefined {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full)) return undefined;
  const url = new URL(full);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  return urlWithoutFinalDot(`${url.origin}${url.pathname}`).replace(/\/+$/, '');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** RFC 9457: `detail`, else `title`; and the hint that Pharos adds. */
function problemText(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined;
  const { title, detail, hint } = value;
  const text = typeof detail === 'string' ? detail : title;
  if (typeof text !== 'string') return undefined;
  return typeof hint === 'string' ? `${text}; ${hint}` : text;
}

/** If several addresses were tried, the error has a common code and no message. */
function networkReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ENOTFOUND') return 'no such host';
  return error.message === '' ? code || error.name : error.message;
}
