/**
 * Class CH: the server's version and identity (RFC 4892), refused unless configured (docs/configuration.md#dns).
 */
import { CLASS, RCODE, TYPE } from '../../wire/types.ts';
import type { Answerer } from './answer-state.ts';

/** The supported names in canonical wire form. */
const VERSION_NAMES = [wire('version', 'bind'), wire('version', 'server')];
const HOST_NAMES = [wire('hostname', 'bind'), wire('id', 'server')];

function wire(...labels: string[]): Uint8Array {
  return Uint8Array.from([...labels.flatMap((label) => [label.length, ...Buffer.from(label)]), 0]);
}

/** Answers a query of class CH: a TXT record, NODATA for other types, REFUSED for unknown names. */
export function answerChaos(a: Answerer): void {
  const { response, query } = a;
  let text = a.version;
  if (isOneOf(a, HOST_NAMES)) text = a.nsid;
  else if (!isOneOf(a, VERSION_NAMES)) text = NOTHING;
  // A transfer needs an SOA, which these names do not have.
  if (text.length === 0 || query.type === TYPE.AXFR || query.type === TYPE.IXFR) {
    response.rcode = RCODE.REFUSED;
    return;
  }
  response.authoritative = true;
  if (query.type !== TYPE.TXT && query.type !== TYPE.ANY) return;
  const { tx } = response;
  if (response.length + TEXT_HEAD_OCTETS + text.length > response.limit) {
    response.truncated = true;
    return;
  }
  let at = response.base + response.length;
  // C00C TXT CH, TTL 0, one character-string.
  const dataOctets = text.length + 1;
  const head = [0xc0, 0x0c, 0, TYPE.TXT, 0, CLASS.CH, 0, 0, 0, 0, dataOctets >> 8, dataOctets & 0xff, text.length];
  for (const octet of head) tx[at++] = octet;
  tx.set(text, at);
  response.length += TEXT_HEAD_OCTETS + text.length;
  response.answers = 1;
}

/** Octets of a TXT record with one character-string, without the string itself. */
const TEXT_HEAD_OCTETS = 13;
const NOTHING = new Uint8Array(0);

function isOneOf({ query }: Answerer, names: readonly Uint8Array[]): boolean {
  const asked = query.name.subarray(0, query.nameOctets);
  return names.some((name) => name.length === asked.length && name.every((octet, i) => octet === asked[i]));
}
