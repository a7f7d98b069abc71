/**
 * Finds the server for a command, and its token: from the command line, else the configuration, else the defaults.
 */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createReport } from '../config/diagnostics.ts';
import type { Environment } from '../config/environment.ts';
import { asWritten, valueOf } from '../config/fields.ts';
import { MAX_PEM_OCTETS } from '../config/limits.ts';
import { readYaml } from '../config/parse-yaml.ts';
import { readRegularFile } from '../config/read-file.ts';
import type { YamlNode } from '../config/yaml.ts';
import { formatEndpoint, parseEndpoint } from '../wire/address.ts';
import { apiAt, shownUrl, tlsFilesOf, type Api, type TlsFiles } from './api-client.ts';

/** As on the command line; `env` has PHAROS_TOKEN, and the variables of the configuration. */
export type ReachOptions = {
  readonly api: string | undefined;
  readonly token: string | undefined;
  /** Files for TLS; without any, those of the environment. */
  readonly tls?: TlsFiles;
  readonly config: string | undefined;
  readonly cwd: string;
  readonly env: Environment;
};

export type Reach =
  | { readonly ok: true; readonly api: Api }
  /** `usage`: the command line is wrong; else the configuration names no server. */
  | { readonly ok: false; readonly message: string; readonly usage: boolean };

const DEFAULT_URL = 'http://127.0.0.1:8053';

/** Never throws. The token of a configuration is sent only to the server of that configuration. */
export function reach({ api, token, tls = {}, config, cwd, env }: ReachOptions): Reach {
  const inEnv = tlsFilesOf(env);
  const files = { ca: tls.ca ?? inEnv.ca, cert: tls.cert ?? inEnv.cert, key: tls.key ?? inEnv.key };
  const found = apiAt(api ?? DEFAULT_URL, token ?? env['PHAROS_TOKEN'], files);
  if (!found.ok) return { ...found, usage: true };
  if (api !== undefined) return found;
  const file = resolve(cwd, config ?? 'pharos.yaml');
  if (config === undefined && !existsSync(file)) return found;
  const read = readStatus(file, env);
  if (!read.ok) return { ok: false, message: `${config ?? 'pharos.yaml'}: ${read.message}`, usage: false };
  const { token: given, tls: givenTls } = found.api;
  // The certificate of the configuration is that of the server, whatever its names are.
  const ca = givenTls?.ca === undefined ? { ca: read.certificate, isExact: true } : {};
  const withTls =
    read.certificate === undefined
      ? {}
      : { tls: { cert: undefined, key: undefined, ca: undefined, ...givenTls, ...ca } };
  return { ok: true, api: { url: read.url, token: given ?? read.token, written: read.written, ...withTls } };
}

/** `alsoApis`: further servers for the same request. */
export type ReachAllOptions = ReachOptions & { readonly alsoApis?: readonly string[] };

/** All servers of a command line, each once, or the first mistake. */
export function reachAll(
  options: ReachAllOptions,
): { readonly ok: true; readonly apis: readonly Api[] } | (Reach & { readonly ok: false }) {
  const apis: Api[] = [];
  for (const api of new Set([options.api, ...(options.alsoApis ?? [])])) {
    const found = reach({ ...options, api });
    if (!found.ok) return found;
    if (!apis.some(({ url }) => url === found.api.url)) apis.push(found.api);
  }
  return { ok: true, apis };
}

/** The reply of one of several servers, or the reason why it is missing. */
export type ServerReply = { readonly api: Api } & (
  | { readonly ok: true; readonly value: unknown }
  /** `problem`: the document of a refusal. */
  | { readonly ok: false; readonly message: string; readonly problem?: unknown }
);

/** The replies of several servers for `--json`: `api`, `ok`, `error` of those that failed, and `reply`. */
export function repliesJson(replies: readonly ServerReply[]): readonly object[] {
  return replies.map((each) =>
    each.ok
      ? { api: shownUrl(each.api), ok: true, reply: each.value }
      : { api: shownUrl(each.api), ok: false, error: each.message, reply: each.problem },
  );
}

/** A message about one of several servers names it. Some messages do already. */
export function aboutServer(message: string, api: Api, servers: number): string {
  return servers > 1 && !message.includes(shownUrl(api)) ? `${shownUrl(api)}: ${message}` : message;
}

type StatusOf =
  | {
      readonly ok: true;
      readonly url: string;
      readonly token: string | undefined;
      readonly written?: string;
      /** PEM: that of `status.tls`. */
      readonly certificate: string | undefined;
    }
  | { readonly ok: false; readonly message: string };

/**
 * Reads `status` alone: the server may run with an earlier version of the file, so other mistakes do not matter. A
 * variable that is not set matters only if its value is needed.
 */
function readStatus(file: string, env: Environment): StatusOf {
  const report = createReport();
  const node = readYaml(file, env, report);
  const fatal = report.diagnostics.find(({ severity }) => severity === 'error');
  if (node === undefined) return { ok: false, message: fatal?.message ?? 'it cannot be read' };
  const status = valueOf(node, 'status');
  if (status?.kind === 'scalar' && /^(?:off|false)$/i.test(status.text)) {
    return { ok: false, message: 'the status server is off (status: off), so no command can reach the server' };
  }
  const listenNode = status && takeVariables(valueOf(status, 'listen'));
  if (listenNode?.kind === 'broken') {
    return { ok: false, message: 'status.listen names an environment variable that is not set here; give --api URL' };
  }
  const listen = textOf(listenNode) ?? '127.0.0.1:8053';
  const endpoint = parseEndpoint(listen);
  if (endpoint === undefined) {
    const shown = listenNode?.kind === 'scalar' ? asWritten(listenNode) : listen;
    return { ok: false, message: `status.listen is not an address with a port: ${shown}; give --api URL` };
  }
  if (endpoint.port === 0) {
    return {
      ok: false,
      message: 'status.listen has port 0, so the system chose a port; its log names it: give --api URL',
    };
  }
  // A server that listens on all addresses is reached on loopback.
  const host = endpoint.host === '0.0.0.0' ? '127.0.0.1' : endpoint.host === '::' ? '::1' : endpoint.host;
  const tls = status && valueOf(status, 'tls');
  const scheme = tls === undefined ? 'http' : 'https';
  const url = `${scheme}://${formatEndpoint({ ...endpoint, host })}`;
  const token = textOf(status && takeVariables(valueOf(status, 'token')));
  const written = listenNode?.kind === 'scalar' ? listenNode.written : undefined;
  const certificate = tls && certificateOf(textOf(takeVariables(valueOf(tls, 'cert'))), file);
  return { ok: true, url, token, certificate, ...(written === undefined ? {} : { written: `${scheme}://${written}` }) };
}

/** Undefined if it cannot be read: the certificate is then verified as that of any server. */
function certificateOf(path: string | undefined, file: string): string | undefined {
  try {
    return path === undefined
      ? undefined
      : readRegularFile(resolve(dirname(file), path), { maxOctets: MAX_PEM_OCTETS }).octets.toString('latin1');
  } catch {
    return undefined;
  }
}

/** Missing variables are not reported: they matter only if the value is used. */
function takeVariables(node: YamlNode | undefined): YamlNode | undefined {
  return node?.kind === 'reference' ? node.resolve(createReport()) : node;
}

function textOf(node: YamlNode | undefined): string | undefined {
  return node?.kind === 'scalar' ? node.text : undefined;
}
