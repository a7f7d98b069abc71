/** Whether the answers of the server under test are those that the reference allows. */
import { NOTHING } from '../../../geo/location.ts';
import { formatAddress } from '../../../wire/address.ts';
import { decodeMessage, encodeQuery, T, type DecodedMessage } from '../../support/message.ts';
import { validate } from '../../support/validator.ts';
import { decide, type RefAnswer, type RefClient } from '../steering/reference.ts';
import { wrongSignatures } from './keys-reference.ts';
import { signedAs, type Machine } from './machine.ts';
import { healthsOf } from './reference.ts';
import { NAMES, textOf } from './updates.ts';
import type { ModelService, ModelZone } from './world.ts';

const [DNSKEY, CDS, CDNSKEY] = [48, 59, 60];

/** Queries are the same over and over. */
const queries = new Map<string, Buffer>();

function ask({ answering, trace }: Machine, name: string, type: number, from = '192.0.2.1'): DecodedMessage {
  const key = `${name} ${type}`;
  const query = queries.get(key) ?? encodeQuery(name, type, name.endsWith('sx') ? { edns: { dnssecOk: true } } : {});
  queries.set(key, query);
  const response = answering.exchange(query, { from });
  if (!response) throw new Error(`no response for ${key}`);
  const message = decodeMessage(response);
  // Signatures of P-256 are random.
  trace?.(JSON.stringify([key, message.rcode, message.answer.map(({ data, type }) => type === T.RRSIG || data)]));
  return message;
}

function clientOf(number: number): { readonly client: RefClient; readonly text: string } {
  const address = Uint8Array.of(1 + (number & 63), (number >> 6) & 255, (number >> 14) & 255, (number >> 22) & 255);
  return { client: { ...NOTHING, address, bears: () => 65_535 }, text: address.join('.') };
}

/** All of these return what is wrong; undefined if nothing is. */
export function wrongAddress(
  machine: Machine,
  { service: number, isA, client: clientNumber }: { readonly service: number; readonly isA: boolean; readonly client: number }, // prettier-ignore
): string | undefined {
  const { reference } = machine;
  const service = reference.world.services[number] as ModelService;
  const { client, text } = clientOf(clientNumber);
  const family = isA ? 'a' : 'aaaa';
  const message = ask(machine, service.name, isA ? T.A : T.AAAA, text);
  const hasFamily = service.vips.some((vip) => vip[family] !== undefined);
  let why: string | undefined;
  for (const health of healthsOf(reference, service)) {
    const expected: RefAnswer = hasFamily ? decide(service.model, reference.world.regions, health, family, client) : { kind: 'empty' }; // prettier-ignore
    why = wrongSet(message, expected, service, family);
    if (why === undefined) break;
  }
  if (why !== undefined || !service.name.endsWith('sx')) return why;
  const isEmpty = message.answer.length === 0;
  return wrongSignatures(message, signedAs(machine)) ?? (isEmpty ? wrongProof(machine, message, service.name, isA ? T.A : T.AAAA, 'nodata') : undefined); // prettier-ignore
}

function wrongSet(
  { answer }: DecodedMessage,
  expected: RefAnswer,
  { model }: ModelService,
  family: 'a' | 'aaaa',
): string | undefined {
  const records = answer.filter(({ type }) => type !== T.RRSIG);
  const served = records.map(({ data }) => formatAddress(Buffer.from(data, 'hex')));
  if (expected.kind === 'static') {
    const own = expected.answer[family];
    return served.join() === (own ?? '') ? undefined : `the static answer ${own} expected, got ${served.join()}`;
  }
  const possible = expected.kind === 'vips' ? expected.vips.map((vip) => vip[family] ?? '') : [];
  const count = expected.kind === 'vips' ? expected.count : 0;
  const isOrdered = expected.kind === 'vips' && expected.ordered;
  const fits = isOrdered
    ? served.join() === possible.slice(0, count).join()
    : served.length === count && new Set(served).size === count && served.every((each) => possible.includes(each));
  if (!fits) return `${count} of ${possible.join()} expected, got ${served.join()}`;
  if (expected.kind !== 'vips') return undefined;
  const { min, max } = model.ttl;
  const ttl = records[0]?.ttl ?? -1;
  // An override that ends has a part in the TTL, which the reference does not follow.
  const isRight = Number.isNaN(expected.ttl) ? ttl >= min && ttl <= max : ttl === expected.ttl;
  return isRight ? undefined : `the TTL ${expected.ttl} expected, got ${ttl}`;
}

export function wrongText(machine: Machine, zone: ModelZone, name: string): string | undefined {
  const { texts, changed } = machine.reference;
  const expected = zone === 'sx' ? textOf(changed, texts.sx, name) : texts.ex[Number(name.slice(1))];
  const message = ask(machine, `${name}.${zone}`, T.TXT);
  const [record] = message.answer.filter(({ type }) => type === T.TXT);
  const got = record && Buffer.from(record.data, 'hex').subarray(1).toString();
  if (got !== expected) return `the text ${expected} of ${name}.${zone} expected, got ${got}`;
  if (zone === 'ex') return undefined;
  return wrongSignatures(message, signedAs(machine)) ?? (got === undefined ? wrongProof(machine, message, `${name}.sx`, T.TXT, 'nxdomain') : undefined); // prettier-ignore
}

/** A name that does not exist. */
export function wrongDenial(machine: Machine): string | undefined {
  const message = ask(machine, 'nothing.sx', T.A);
  return wrongSignatures(message, signedAs(machine)) ?? wrongProof(machine, message, 'nothing.sx', T.A, 'nxdomain');
}

/** Proofs are the same over and over. */
const proven = new Set<string>();

/** Whether the NSEC records prove to a resolver that a name or its type does not exist. */
function wrongProof(
  machine: Machine,
  message: DecodedMessage,
  name: string,
  type: number,
  expected: 'nxdomain' | 'nodata',
): string | undefined {
  const { roles, seconds } = signedAs(machine);
  if (seconds === undefined) return undefined;
  const isCompact = machine.reference.world.denial === 'compact';
  const known = JSON.stringify([message.rcode, message.authority, message.answer, name, type, isCompact]);
  if (proven.has(known)) return undefined;
  const keys = roles.forData.map(({ tag, data }) => ({ tag, dnskey: Buffer.from(data, 'hex') }));
  try {
    const proof = validate(message, { name: `${name}.`, type, apex: 'sx.', keys, nowSeconds: seconds, isCompact });
    if (proof !== expected) return `${name} is ${proof}, expected ${expected}`;
  } catch (error) {
    return `${name}: ${(error as Error).message}`;
  }
  proven.add(known);
  return undefined;
}

/** The serial rises with every change, and never falls. */
function wrongSerial(machine: Machine): string | undefined {
  const { reference, seed, signing, soa } = machine;
  const { published, forKeys, forData, forParent } = signing.roles;
  const message = ask(machine, 'sx', T.SOA);
  const data = Buffer.from(message.answer.find(({ type }) => type === T.SOA)?.data ?? '', 'hex');
  const serial = data.readUInt32BE(data.length - 20);
  const texts = NAMES.map((name) => textOf(reference.changed, reference.texts.sx, name) ?? null);
  const keys = [published, forKeys, forData, forParent].map((each) => each.map((key) => key.data).sort());
  const content = JSON.stringify([seed, texts, keys, signing.signedAt]);
  machine.soa = { serial, content };
  const isRight = content === soa.content ? serial >= soa.serial : serial > soa.serial;
  return isRight ? undefined : `the serial ${serial} after ${soa.serial}`;
}

/** DNSKEY, and what the parent is asked for. */
export function wrongKeys(machine: Machine): string | undefined {
  const as = signedAs(machine);
  const why = wrongSerial(machine);
  if (why !== undefined) return why;
  for (const [type, keys] of [
    [DNSKEY, as.roles.published],
    [CDNSKEY, as.roles.forParent],
    [CDS, undefined],
  ] as const) {
    // prettier-ignore
    const message = ask(machine, 'sx', type);
    const got = message.answer.flatMap((record) => (record.type === type ? record.data : [])).sort();
    const expected = keys?.map(({ data }) => data).sort();
    if (expected && got.join() !== expected.join())
      return `type ${type}: ${expected.join()} expected, got ${got.join()}`;
    const tags = got.map((data) => Number.parseInt(data.slice(0, 4), 16)).sort();
    const named = as.roles.forParent.map(({ tag }) => tag).sort();
    if (!expected && tags.join() !== named.join()) return `CDS of ${named.join()} expected, got ${tags.join()}`;
    const wrong = wrongSignatures(message, as);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}
