/**
 * `transfer` of pharos.yaml (docs/transfer.md): TSIG keys, clients that may transfer zones, and secondaries to notify.
 */
import { showEndpoint, inPrefix, parseAddress, type Endpoint } from '../wire/address.ts';
import { canonical, formatName, NameError, parseName, type Name } from '../wire/name.ts';
import { TSIG_ALGORITHMS, type TsigAlgorithm, type TsigKey } from '../wire/tsig.ts';
import type { Report } from './diagnostics.ts';
import {
  boolean,
  choice,
  dictionary,
  fromEnvironment,
  list,
  map,
  optional,
  orNone,
  required,
  scalar,
  text,
  withDefault,
  type Read,
} from './fields.ts';
import { judgeSecret } from './file-rights.ts';
import { MIN_TSIG_SECRET_OCTETS } from './limits.ts';
import { nearestHint } from './nearest-word.ts';
import { endpointParser, prefix } from './network-fields.ts';
import { anyOf, described, like, openMap, pattern, schemaOf, SOME_TEXT } from './schema.ts';
import type { TransferSettings } from './settings.ts';
import { nodePlace, type YamlNode, type YamlScalar } from './yaml.ts';

/** RFC 8945 6 forbids MD5 and advises against SHA-1: tools that cannot use another one need `allow_weak`. */
export const WEAK_ALGORITHMS: ReadonlySet<TsigAlgorithm> = new Set(['hmac-md5', 'hmac-sha1']);
const ALGORITHMS = Object.keys(TSIG_ALGORITHMS) as TsigAlgorithm[];
const DNS_PORT = 53;
/** A name of a member needs 40 octets beside it. */
const MAX_CATALOG_OCTETS = 200;

/** Base64. Messages must not show it. */
const secret: Read<Uint8Array> = described(
  anyOf(pattern(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/), { const: true }),
  readSecret,
);

function readSecret(node: YamlNode, name: string, report: Report): Uint8Array | undefined {
  if (node.kind !== 'scalar') {
    text()(node, name, report);
    return undefined;
  }
  const hint = 'write what tsig-keygen or keymgr -t prints, or the output of: openssl rand -base64 32';
  const bytes = Buffer.from(node.text, 'base64');
  // Node.js skips invalid characters: only text that is the same after a round trip is base64.
  const isBase64 = bytes.length > 0 && bytes.toString('base64').replace(/=+$/, '') === node.text.replace(/=+$/, '');
  if (!isBase64 || node.text.length % 4 !== 0) {
    report.error('PH081', `${name} must be base64`, nodePlace(node), hint);
    return undefined;
  }
  if (bytes.length < MIN_TSIG_SECRET_OCTETS) {
    const message = `${name} has ${bytes.length} octets and can be guessed: use at least ${MIN_TSIG_SECRET_OCTETS}`;
    report.warning('PH082', message, nodePlace(node), hint);
  }
  judgeSecret(node, name, report);
  return Uint8Array.from(bytes);
}

export const WEAK_HINT = 'use hmac-sha256, or add allow_weak: true to the key if the client has nothing better';

const readKey = map('key', {
  algorithm: required(choice(ALGORITHMS, { code: 'PH083' }), 'algorithm: hmac-sha256'),
  secret: required(fromEnvironment(secret), 'secret: "${TSIG}"'),
  allow_weak: withDefault(boolean(), false),
});

const keys: Read<TsigKey[]> = described(
  () => openMap(schemaOf(readKey, 'keys')),
  (node: YamlNode, name: string, report: Report) => {
    const seen = new Map<string, string>();
    return dictionary(({ key, value }, inner): TsigKey | undefined => {
      const wire = keyName(key, inner);
      const read = readKey(value, key.text, inner);
      if (!wire) return undefined;
      const canonicalText = formatName(wire);
      const other = seen.get(canonicalText);
      if (other !== undefined) {
        const message = `${key.text} and ${other} are the same key name: case and a final dot do not matter`;
        inner.error('PH084', message, nodePlace(key), 'remove one of the two, or give it another name');
        return undefined;
      }
      seen.set(canonicalText, key.text);
      if (!read) return undefined;
      const { algorithm, secret, allow_weak: isWeakAllowed } = read;
      if (algorithm === 'hmac-md5' && !isWeakAllowed) {
        inner.error('PH420', `the key ${key.text} uses hmac-md5, which is weak`, nodePlace(key), WEAK_HINT);
      }
      return { label: key.text, name: wire, algorithm, secret, ...(isWeakAllowed ? { isWeakAllowed } : {}) };
    })(node, name, report);
  },
);

/** RFC 8945 4.2: the name of a key is a domain name. */
function keyName(key: YamlScalar, report: Report): Name | undefined {
  try {
    return canonical(parseName(key.text.endsWith('.') ? key.text : `${key.text}.`));
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    report.error(
      'PH084',
      `a key's name is a domain name: ${error.message}`,
      nodePlace(key),
      'such as second.example.com',
    );
    return undefined;
  }
}

const target = scalar('an address', endpointParser(DNS_PORT), {
  schema: pattern(/^(?:[0-9a-fA-F:.]+|\[[0-9a-fA-F:.]+\](?::\d{1,5})?)$/),
  code: 'PH022',
  hint: 'such as 192.0.2.54, 192.0.2.54:5353 or "[2001:db8::54]:53"',
});

const keyOfEntry: Read<YamlScalar> = like(text(), (node: YamlNode, name: string, report: Report) => {
  text()(node, name, report);
  return node.kind === 'scalar' ? node : undefined;
});

const catalogName = scalar(
  'a domain name',
  (value) => {
    try {
      const name = value === '' ? undefined : canonical(parseName(value.endsWith('.') ? value : `${value}.`));
      return name && name.length <= MAX_CATALOG_OCTETS ? name : undefined;
    } catch (error) {
      if (error instanceof NameError) return undefined;
      throw error;
    }
  },
  { code: 'PH100', hint: 'such as catalog: catalog.example.com', schema: SOME_TEXT },
);

const catalog: Read<NonNullable<TransferSettings['catalog']>> = like(
  catalogName,
  (node: YamlNode, name: string, report: Report) => {
    const found = catalogName(node, name, report);
    return found && { name: found, place: nodePlace(node) };
  },
);

const allowed = map('allow', {
  from: required(fromEnvironment(prefix()), 'from: 192.0.2.54'),
  key: optional(keyOfEntry),
  steered: withDefault(choice(['default', 'omit']), 'default'),
});

const read = map('transfer', {
  keys: withDefault(keys, []),
  allow: withDefault(orNone(list(allowed, { hint: 'such as [{ from: 192.0.2.54, key: second }]' })), []),
  notify: withDefault(list(fromEnvironment(like(target, located))), []),
  catalog: optional(catalog),
});

type Located = { readonly endpoint: Endpoint; readonly node: YamlNode };

/** An address and its node. */
function located(node: YamlNode, name: string, report: Report): Located | undefined {
  const endpoint = target(node, name, report);
  return endpoint && { endpoint, node };
}

export const transfer: Read<TransferSettings> = like(read, (node: YamlNode, name: string, report: Report) => {
  const found = read(node, name, report);
  if (!found) return undefined;
  // A key with errors counts as defined, so that using it is not a second error.
  const defined = namesOf(node);
  const allow = found.allow.map(({ from, key, steered }) => {
    if (key && !defined.has(key.text)) {
      report.error(
        'PH080',
        // The notation of dig has the secret after the name.
        `unknown key "${key.text.replace(/:.*/s, ':***')}" in transfer.keys`,
        nodePlace(key),
        nearestHint(key.text, defined),
      );
    }
    return { from, key: key?.text, steered };
  });
  const notify = found.notify.map(({ endpoint, node: at }) => {
    const address = parseAddress(endpoint.host);
    if (!address || !allow.some(({ from }) => inPrefix(address, from))) {
      const message = `${showEndpoint(endpoint)} gets NOTIFY, but no entry of allow permits it to transfer zones`;
      report.warning(
        'PH085',
        message,
        nodePlace(at),
        endpoint.written === undefined ? `add { from: ${endpoint.host} } to allow` : 'add it to allow',
      );
    }
    return endpoint;
  });
  if (found.catalog && allow.length === 0) {
    const message = 'nobody can read the catalog zone: no entry of allow permits a transfer';
    report.warning('PH085', message, found.catalog.place, 'add the secondaries to allow');
  }
  return { keys: found.keys, allow, notify, catalog: found.catalog };
});

function namesOf(node: YamlNode): Set<string> {
  const entry = node.kind === 'map' ? node.entries.find(({ key }) => key.text === 'keys') : undefined;
  return new Set(entry?.value.kind === 'map' ? entry.value.entries.map(({ key }) => key.text) : []);
}
