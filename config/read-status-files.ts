/**
 * Opens the files that `status` names: tokens, the certificate and its key, and the authority of client certificates.
 */
import { resolve } from 'node:path';
import type { Endpoint } from '../wire/address.ts';
import type { Place, Report } from './diagnostics.ts';
import type { Environment } from './environment.ts';
import { readAuthority, readKeyPair, type CheckedKeyPair, type WrittenPath } from './key-pair.ts';
import { readTokens } from './read-tokens.ts';
import type { StatusSettings } from './settings.ts';

/** `status` as written in pharos.yaml. */
export type WrittenStatus = {
  readonly listen: Endpoint;
  readonly token: string | undefined;
  readonly openReading: boolean;
  readonly tokens: WrittenPath | undefined;
  readonly tls:
    { readonly cert: WrittenPath; readonly key: WrittenPath; readonly client_ca: WrittenPath | undefined } | undefined;
};

export type ReadStatus = {
  readonly settings: StatusSettings;
  /** Environment variables that the file of tokens uses. */
  readonly variables: readonly string[];
};

/** `keyPairInUse` is the pair of DNS over TLS, which may be the same one. */
export function readStatusFiles(
  { listen, token, openReading, tokens, tls }: WrittenStatus,
  from: {
    readonly baseDir: string;
    readonly env: Environment;
    readonly report: Report;
    readonly keyPairInUse: CheckedKeyPair | undefined;
  },
): ReadStatus {
  const { baseDir, env, report, keyPairInUse } = from;
  const tokensFile = tokens && resolve(baseDir, tokens.path);
  const read = tokensFile === undefined ? undefined : readTokens(tokensFile, env, report);
  const keyPair = tls && readKeyPair(tls, baseDir, Date.now(), report, keyPairInUse);
  const clientCa = tls?.client_ca && readAuthority(tls.client_ca, baseDir, report);
  const credentials = read?.credentials ?? [];
  const [certified] = credentials.filter(({ certificate }) => certificate !== undefined);
  if (tokens && certified && tls?.client_ca === undefined) {
    tellUnusable(certified.name, tokens.place, report);
  }
  return {
    settings: { listen, token, openReading, tokensFile, credentials, tls: keyPair && { keyPair, clientCa } },
    variables: read?.variables ?? [],
  };
}

function tellUnusable(name: string, place: Place, report: Report): void {
  const message = `${name} logs in with a certificate, and status has no client_ca that could verify it`;
  report.warning('PH079', message, place, 'add tls: { cert: ..., key: ..., client_ca: clients-ca.pem }');
}
