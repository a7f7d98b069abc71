/**
 * Talking to a running server's API (docs/http-api.md).
 */

/** `url` as `apiAt` has it; `token` goes along as a bearer token when there is one. */
export type Api = { readonly url: string; readonly token: string | undefined };

export type ApiReply =
  | { readonly ok: true; readonly value: unknown }
  /** `message` is for the user; `status` is 0 when nobody answered; `problem` is the body where it is JSON. */
  | { readonly ok: false; readonly message: string; readonly status: number; readonly problem: unknown };

/** The server is near and answers from memory; a reload of large zones takes longest. */
const TIMEOUT_MS = 30_000;

/** The server that `--api` names, or what is wrong with that. */
export function apiAt(
  written: string,
  token: string | undefined,
): { readonly ok: true; readonly api: Api } | { readonly ok: false; readonly message: string } {
  const url = parseApiUrl(written);
  return url === undefined
    ? { ok: false, message: `--api ${written} is not an http or https URL` }
    : { ok: true, api: { url, token } };
}

/** Asks, and never throws for what the network or the server does. */
export async function callApi(api: Api, method: string, path: string, body?: unknown): Promise<ApiReply> {
  const base = api.url;
  const headers: Record<string, string> = { accept: 'application/json' };
  if (api.token !== undefined) headers.authorization = `Bearer ${api.token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${base}${path}`, {
      method,
      headers,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch (error) {
    const why = `cannot reach ${base}: ${networkReason(error)}`;
    const hint = 'is `pharos serve` running there, and is this its `status.listen`?';
    return { ok: false, message: `${why}; ${hint}`, status: 0, problem: undefined };
  }
  const value = parseJson(text);
  if (response.ok && value !== undefined) return { ok: true, value };
  const message = response.ok
    ? `${base} did not answer with JSON: is that a Pharos status server?`
    : (problemText(value) ?? `${base} answered ${response.status} ${response.statusText}`.trimEnd());
  return { ok: false, message, status: response.status, problem: value };
}

/** Without its final slash; `127.0.0.1:8053` is taken for `http://127.0.0.1:8053`. Undefined when it is no URL of http. */
function parseApiUrl(text: string): string | undefined {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full)) return undefined;
  const url = new URL(full);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** RFC 9457: `detail`, else `title`; and the hint that our server adds. */
function problemText(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { title, detail, hint } = value as Readonly<Record<string, unknown>>;
  const text = typeof detail === 'string' ? detail : title;
  if (typeof text !== 'string') return undefined;
  return typeof hint === 'string' ? `${text}; ${hint}` : text;
}

/** fetch hides the reason in `cause`. */
function networkReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const cause = error.cause;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ENOTFOUND') return 'no such host';
  if (cause instanceof Error && cause.message !== '') return cause.message;
  return error.message;
}
