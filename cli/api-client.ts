/**
 * Client of a running server's API (docs/http-api.md). Uses `node:http`, since `fetch` refuses ports that browsers
 * block, such as 6000 and 10080, and a server may listen there.
 */
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps, type RequestOptions } from 'node:https';
import { createInterface } from 'node:readline';
import { text as readText } from 'node:stream/consumers';
import type { Environment } from '../config/environment.ts';
import { urlWithoutFinalDot } from '../config/host-name.ts';
import { MAX_PEM_OCTETS } from '../config/limits.ts';
import { readRegularFile } from '../config/read-file.ts';
import { codeOf, isRecord, messageOf } from '../config/unknown-values.ts';

/** `url` as `apiAt` returns it. `token` is sent as a bearer token. */
export type Api = {
  readonly url: string;
  readonly token: string | undefined;
  /** Shown in messages in place of a URL that came from the environment. */
  readonly written?: string | undefined;
  /** For https; undefined: the authorities of the system, and no client certificate. */
  readonly tls?: ApiTls | undefined;
};

/** PEM. `isExact`: the server has a certificate of `ca`, whatever its names are. */
export type ApiTls = {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly isExact?: boolean;
};

/** Paths of PEM files, of options or environment variables. */
export type TlsFiles = {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
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
  files: TlsFiles = tlsFilesOf(process.env),
): { readonly ok: true; readonly api: Api } | { readonly ok: false; readonly message: string } {
  const url = parseApiUrl(written);
  if (url === undefined) return { ok: false, message: `--api ${written} is not an http or https URL` };
  const read = readTlsFiles(files);
  if (!read.ok) return read;
  const tls = read.tls && { tls: read.tls };
  if (token === undefined || token === '') return { ok: true, api: { url, token: undefined, ...tls } };
  // The rules of `status.token`: the server has no other tokens, and some could not be sent.
  if (/^[\x21-\x7e]+$/.test(token)) return { ok: true, api: { url, token, ...tls } };
  return { ok: false, message: 'invalid token; use printable ASCII characters without spaces' };
}

/** PHAROS_CA, PHAROS_CERT and PHAROS_KEY. */
export function tlsFilesOf(env: Environment): Required<TlsFiles> {
  const file = (name: string): string | undefined => env[name] || undefined;
  return { ca: file('PHAROS_CA'), cert: file('PHAROS_CERT'), key: file('PHAROS_KEY') };
}

function readTlsFiles({
  ca,
  cert,
  key,
}: TlsFiles):
  { readonly ok: true; readonly tls: ApiTls | undefined } | { readonly ok: false; readonly message: string } {
  if ((cert === undefined) !== (key === undefined)) {
    return { ok: false, message: 'a client certificate needs --cert and --key (PHAROS_CERT and PHAROS_KEY) together' };
  }
  if (ca === undefined && cert === undefined) return { ok: true, tls: undefined };
  const read = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : readRegularFile(path, { maxOctets: MAX_PEM_OCTETS }).octets.toString('latin1');
  try {
    return { ok: true, tls: { ca: read(ca), cert: read(cert), key: read(key) } };
  } catch (error) {
    return { ok: false, message: `cannot read a file of --ca, --cert or --key: ${messageOf(error)}` };
  }
}

/**
 * Sends a request. Never throws for errors of the network or the server. `signal` cancels the request; `more` are
 * headers.
 */
export async function callApi(
  api: Api,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  more: Readonly<Record<string, string>> = {},
): Promise<ApiReply> {
  const headers = { ...headersOf(api, 'application/json'), ...more };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const content = body === undefined ? '' : JSON.stringify(body);
  if (content !== '') headers['content-length'] = String(Buffer.byteLength(content));
  let response: IncomingMessage;
  let text: string;
  try {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const until = signal ? AbortSignal.any([limit, signal]) : limit;
    response = await send({ api, path, method, headers, content, signal: until });
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
    const response = await send({ api, path, method: 'GET', headers, content: '', signal, silenceMs: SILENCE_MS });
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
function send({
  api,
  path,
  method,
  headers,
  content,
  signal,
  silenceMs = 0,
}: {
  readonly api: Api;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly content: string;
  readonly signal: AbortSignal;
  readonly silenceMs?: number;
}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const url = new URL(`${api.url}${path}`);
    // A new connection per request: after a restart the server does not know the old one.
    const options = { method, headers, agent: false, signal, timeout: silenceMs } as const;
    const request =
      url.protocol === 'https:' ? requestHttps(url, { ...options, ...tlsOptions(api.tls) }) : requestHttp(url, options);
    request
      .on('response', resolve)
      .on('error', reject)
      .on('timeout', () => request.destroy(new Error(`no answer within ${silenceMs / 1000} s`)))
      .end(content);
  });
}

function tlsOptions(tls: ApiTls | undefined): RequestOptions {
  if (tls === undefined) return {};
  const { ca, cert, key, isExact = false } = tls;
  const exact = { allowPartialTrustChain: true, checkServerIdentity: (): undefined => undefined };
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(isExact ? exact : {}),
  };
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
