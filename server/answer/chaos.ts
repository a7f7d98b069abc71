/**
 * Class CH: the server's version and identity (RFC 4892), refused unless configured (docs/configuration.md#dns). PACKET
 * PATH: allocates nothing.
 */
import { get8, put16 } from '../../wire/octets.ts';
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
  if (response.length + HEAD.length + 1 + text.length > response.limit) {
    response.truncated = true;
    return;
  }
  let at = response.base + response.length;
  for (let index = 0; index < HEAD.length; index++) tx[at++] = get8(HEAD, index);
  put16(tx, at - 2, text.length + 1);
  tx[at++] = text.length;
  for (let index = 0; index < text.length; index++) tx[at++] = get8(text, index);
  response.length += HEAD.length + 1 + text.length;
  response.answers = 1;
}

/** C00C TXT CH, TTL 0, and room for the length of the data, which is one character-string. */
const HEAD = Uint8Array.of(0xc0, 0x0c, 0, TYPE.TXT, 0, CLASS.CH, 0, 0, 0, 0, 0, 0);
const NOTHING = new Uint8Array(0);

function isOneOf({ query }: Answerer, names: readonly Uint8Array[]): boolean {
  for (let index = 0; index < names.length; index++) {
    const name = names[index];
    if (name === undefined || name.length !== query.nameOctets) continue;
    let same = 0;
    while (same < name.length && name[same] === query.name[same]) same++;
    if (same === name.length) return true;
  }
  return false;
}
