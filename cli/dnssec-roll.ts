/**
 * `pharos dnssec roll ZONE`: begins a key roll (docs/dnssec.md#roll-a-key; RFC 6781 4.1, RFC 7583). The steps are times
 * in the `.private` files, which the server follows. dnssec-retire.ts ends it.
 */
import { ALGORITHMS } from '../dnssec/algorithms.ts';
import { makeKey, setTimes, type KeyTimes, type ZoneKey } from '../dnssec/key-files.ts';
import { KEY_TTL_SECONDS } from '../dnssec/zone-signer.ts';
import { formatName } from '../wire/name.ts';
import { dsLine, dsText, keyDocument } from './dnssec.ts';
import { EXIT, fail, type Output } from './output.ts';
import { findZone, isEnding, utcTime, nowSeconds, wordFor, type DnssecOptions, type SignedZone } from './signed-zone.ts'; // prettier-ignore

/** For the reload after a command, and until secondaries have the zone. */
export const MARGIN_SECONDS = 3600;

export type RollOptions = DnssecOptions & {
  /** The key that signs the zone, instead of the one that the DS refers to. */
  readonly zsk: boolean;
  /** Number or mnemonic of another algorithm. */
  readonly algorithm: string | undefined;
};

/** What is to be done next. `notBefore`, in seconds: undefined is now, or after the step before. */
type Step = { readonly notBefore?: number } & (
  | { readonly step: 'reload' }
  | { readonly step: 'replace_ds'; readonly made: ZoneKey }
  | { readonly step: 'retire'; readonly old: ZoneKey }
);

/** A key, and the times that have been written into its file since it was read. */
export type Changed = { readonly key: ZoneKey; readonly times: Partial<KeyTimes> };

/** Changes times of a key in its file. */
export function change(key: ZoneKey, times: Partial<KeyTimes>): Changed {
  setTimes(key, times);
  return { key, times };
}

/** A roll that has begun. `lines` is the report. */
type Begun = {
  readonly made: readonly ZoneKey[];
  readonly old: Changed;
  readonly next: readonly Step[];
  readonly lines: readonly string[];
};

/** Begins a key roll: makes new keys. */
export function dnssecRoll({ zsk, algorithm: text, ...options }: RollOptions, output: Output): number {
  const refuse = (message: string, code: number = EXIT.FAILED): number => fail('dnssec roll', message, code, output);
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const staying = zone.keys.filter((key) => !isEnding(key));
  const kinds = [true, false].map((isEntryPoint) => staying.filter((key) => key.isEntryPoint === isEntryPoint));
  const several = kinds.find(({ length }) => length > 1);
  if (several) {
    const words = several.map((key) => wordFor(zone, key)).join(' and ');
    return refuse(`a roll is under way: the keys ${words} do the same; retire one of them first`);
  }
  const present = staying.find(({ isEntryPoint }) => isEntryPoint) ?? staying[0];
  if (!present) return refuse(`${options.zone} has no key yet: start the server once`);
  const number = text === undefined ? present.algorithm.number : algorithmOf(text);
  if (number === undefined) {
    const known = [...ALGORITHMS.values()].map(({ mnemonic }) => mnemonic.toLowerCase()).join(', ');
    return refuse(`the algorithm ${text ?? ''} is not one of ${known}`, EXIT.USAGE);
  }
  const zoneKey = staying.find(({ isEntryPoint }) => !isEntryPoint);
  if (number !== present.algorithm.number) {
    const isSplit = zoneKey !== undefined && zoneKey !== present;
    return tellBegun(zone, rollAlgorithm({ zone, present, number, isSplit }), options.json, output);
  }
  if (!zsk) return tellBegun(zone, rollEntryPoint(zone, present), options.json, output);
  if (!zoneKey || kinds[0]?.length === 0) {
    return refuse(`${options.zone} has no zone signing key: one key signs everything; leave --zsk out`);
  }
  return tellBegun(zone, rollZoneKey(zone, zoneKey), options.json, output);
}

function tellBegun(zone: SignedZone, begun: Begun, asJson: boolean, output: Output): number {
  const { made, old, next, lines } = begun;
  if (!asJson) {
    for (const line of lines) output.out(line);
    return EXIT.OK;
  }
  const now = nowSeconds();
  const document = {
    zone: formatName(zone.apex),
    made: made.map((key) => keyDocument(key, now)),
    old: keyDocument(old.key, now, old.times),
    next: next.map((step) => stepDocument(zone, step)),
  };
  output.out(JSON.stringify(document, undefined, 2));
  return EXIT.OK;
}

export function stepDocument(zone: SignedZone, step: Step): object {
  const document = { step: step.step, not_before: step.notBefore === undefined ? null : utcTime(step.notBefore) };
  if (step.step === 'replace_ds') return { ...document, ds: [dsText(zone, step.made)] };
  return step.step === 'retire' ? { ...document, key: wordFor(zone, step.old) } : document;
}

function algorithmOf(text: string): number | undefined {
  const wanted = text.toUpperCase();
  return [...ALGORITHMS.values()].find(({ number, mnemonic }) => mnemonic === wanted || String(number) === wanted)?.number; // prettier-ignore
}

/** RFC 6781 4.1.1.1: the DNSKEY of the new key is published before it signs. */
function rollZoneKey(zone: SignedZone, old: ZoneKey): Begun {
  const now = nowSeconds();
  const made = makeKey(zone.rule.keys, zone.apex, now, {
    ...{ algorithm: old.algorithm.number, isEntryPoint: false, times: { publish: now } },
  });
  const notBefore = now + MARGIN_SECONDS + KEY_TTL_SECONDS;
  return {
    made: [made],
    old: { key: old, times: {} },
    next: [{ step: 'reload' }, { step: 'retire', old, notBefore }],
    lines: [
      `Made zone signing key ${made.tag}. Next:`,
      '1. Reload the server now (pharos reload). The key is published and does not sign yet.',
      `2. From ${utcTime(notBefore)} on: ${retireLine(zone, old)}. The new key signs from then on.`,
    ],
  };
}

/** RFC 6781 4.1.2: double signature, for the key to which the DS refers. */
function rollEntryPoint(zone: SignedZone, old: ZoneKey): Begun {
  const now = nowSeconds();
  const syncPublish = now + MARGIN_SECONDS + zone.maxTtlSeconds;
  const times = { publish: now, activate: now, syncPublish };
  const made = makeKey(zone.rule.keys, zone.apex, now, {
    ...{ algorithm: old.algorithm.number, isEntryPoint: old.isEntryPoint, times },
  });
  return {
    made: [made],
    old: change(old, { syncDelete: syncPublish }),
    next: dsSteps(made, old),
    lines: [
      `Made key ${made.tag}. Next:`,
      '1. Reload the server now (pharos reload). Both keys sign from then on.',
      ...dsLines(zone, made, old),
    ],
  };
}

/** RFC 6781 4.1.4: signatures of the new algorithm, then its DNSKEY, then the DS. */
function rollAlgorithm({
  zone,
  present,
  number,
  isSplit,
}: {
  readonly zone: SignedZone;
  readonly present: ZoneKey;
  readonly number: number;
  readonly isSplit: boolean;
}): Begun {
  const now = nowSeconds();
  const publish = now + MARGIN_SECONDS + zone.maxTtlSeconds;
  const syncPublish = publish + MARGIN_SECONDS + KEY_TTL_SECONDS;
  const times = { publish, activate: now };
  const make = (isEntryPoint: boolean, more: { syncPublish?: number }): ZoneKey =>
    makeKey(zone.rule.keys, zone.apex, now, { algorithm: number, isEntryPoint, times: { ...times, ...more } });
  const made = make(present.isEntryPoint, { syncPublish });
  return {
    made: [made, ...(isSplit ? [make(false, {})] : [])],
    old: change(present, { syncDelete: syncPublish }),
    next: dsSteps(made, present),
    lines: [
      `Made key ${made.tag} (${made.algorithm.mnemonic}). Next:`,
      '1. Reload the server now (pharos reload). The new algorithm signs from then on.',
      `   Its DNSKEY enters the zone at ${utcTime(publish)}.`,
      ...dsLines(zone, made, present),
    ],
  };
}

function dsSteps(made: ZoneKey, old: ZoneKey): readonly Step[] {
  const notBefore = made.times.syncPublish ?? 0;
  return [{ step: 'reload' }, { step: 'replace_ds', made, notBefore }, { step: 'retire', old }];
}

function dsLines(zone: SignedZone, made: ZoneKey, old: ZoneKey): readonly string[] {
  return [
    `2. From ${utcTime(made.times.syncPublish ?? 0)} on, replace the DS at the parent by:`,
    `   ${dsLine(zone, made)}`,
    `3. ${retireLine(zone, old)}`,
  ];
}

function retireLine(zone: SignedZone, key: ZoneKey): string {
  return `pharos dnssec retire ${formatName(zone.apex)} ${wordFor(zone, key)}`;
}
