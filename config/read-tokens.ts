/**
 * Reads the file of `status.tokens`: named credentials for the status server, each with its roles
 * (docs/configuration.md#tokens). The file is read again at a reload, and by the running server when it has changed.
 */
import { createHash } from 'node:crypto';
import type { Report } from './diagnostics.ts';
import type { Environment } from './environment.ts';
import { choice, entriesOf, fromEnvironment, list, map, optional, required, text, type Read } from './fields.ts';
import { isReadableByAll } from './file-rights.ts';
import { readYaml } from './parse-yaml.ts';
import { described, pattern } from './schema.ts';
import { ROLES, type Credential } from './settings.ts';
import { isWeakToken } from './weak-token.ts';
import { nodePlace, placeOfFile, variablesIn, type YamlEntry, type YamlNode, type YamlScalar } from './yaml.ts';

/** Names appear in the log, in events and in messages. */
const NAME = /^[A-Za-z0-9][\w.@+-]{0,63}$/;

/** The characters of a bearer token. Messages must not show it. */
const token: Read<string> = described(pattern(/^[\x21-\x7e]+$/), (node: YamlNode, name: string, report: Report) => {
  if (node.kind !== 'scalar') return text()(node, name, report);
  if (/^[\x21-\x7e]+$/.test(node.text)) return node.text;
  report.error('PH025', `${name} must be printable ASCII without spaces`, nodePlace(node), 'openssl rand -hex 24');
  return undefined;
});

const digest: Read<string> = described(pattern(/^[0-9a-fA-F]{64}$/), (node: YamlNode, name: string, report: Report) => {
  if (node.kind !== 'scalar') return text()(node, name, report);
  if (/^[0-9a-f]{64}$/i.test(node.text)) return node.text.toLowerCase();
  const hint = 'printf %s "$TOKEN" | sha256sum';
  report.error('PH025', `${name} must be 64 hexadecimal digits`, nodePlace(node), hint);
  return undefined;
});

const readEntry = map('a token', {
  roles: required(list(choice(ROLES), { min: 1 }), `roles: [${ROLES.join(', ')}], or one of them`),
  token: optional(fromEnvironment(token)),
  sha256: optional(digest),
  certificate: optional(text()),
});

export type ReadTokens = {
  readonly credentials: readonly Credential[];
  /** Environment variables that hold tokens. */
  readonly variables: readonly string[];
};

/** Undefined for a file that cannot be read. After other mistakes, which are reported, it has the valid entries. */
export function readTokens(path: string, env: Environment, report: Report): ReadTokens | undefined {
  const node = readYaml(path, env, report, { shown: ROLES });
  if (node === undefined) return undefined;
  if (isReadableByAll(path)) {
    const message = `every user of this machine may read the tokens in ${path}`;
    report.warning('PH077', message, placeOfFile(path), `chmod o-r ${path}`);
  }
  const credentials: Credential[] = [];
  for (const entry of entriesOf(node, 'the file of status.tokens', report) ?? []) {
    const credential = credentialOf(entry, report);
    if (credential === undefined) continue;
    const same = credentials.find((each) => isSame(each, credential));
    if (same === undefined) credentials.push(credential);
    else tellSame(entry.key, same, report);
  }
  return { credentials, variables: variablesIn(node) };
}

function credentialOf({ key, value }: YamlEntry, report: Report): Credential | undefined {
  const name = key.text;
  if (!NAME.test(name)) {
    const hint = 'up to 64 letters, digits, and . @ + - _ : alice, deploy-bot';
    report.error('PH076', 'this cannot be the name of a token', nodePlace(key), hint);
    return undefined;
  }
  const read = readEntry(value, name, report);
  if (!read) return undefined;
  const given = (['token', 'sha256', 'certificate'] as const).filter((each) => read[each] !== undefined);
  if (given.length !== 1) {
    const wanted = 'one of token, sha256 and certificate';
    const message =
      given.length === 0 ? `${name} needs ${wanted}` : `${name} has ${given.join(' and ')}, not ${wanted}`;
    report.error('PH076', message, nodePlace(key), 'use two names for two ways to log in');
    return undefined;
  }
  if (read.token !== undefined && isWeakToken(read.token)) {
    report.warning(
      'PH074',
      `the token of ${name} is easy to guess`,
      nodePlace(key),
      'make one with: openssl rand -hex 24',
    );
  }
  const sha256 = read.token === undefined ? read.sha256 : sha256Of(read.token);
  return { name, roles: [...new Set(read.roles)], sha256, certificate: read.certificate?.toLowerCase() };
}

/** In hexadecimal. */
export function sha256Of(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Whether a request could not be told to come from one of the two. */
function isSame(a: Credential, b: Credential): boolean {
  return (
    (a.sha256 !== undefined && a.sha256 === b.sha256) ||
    (a.certificate !== undefined && a.certificate === b.certificate)
  );
}

function tellSame(key: YamlScalar, same: Credential, report: Report): void {
  const what = same.sha256 === undefined ? 'certificate' : 'token';
  report.error('PH078', `${key.text} has the same ${what} as ${same.name}`, nodePlace(key), 'remove one of the two');
}
