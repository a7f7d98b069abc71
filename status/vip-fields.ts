/**
 * The fields of a VIP in the API, one row each, in the order of the document: its schema and its value. The type of the
 * document, the document, its JSON and its OpenAPI schema come from this table (docs/http-api.md).
 */
import type { VipHealth } from '../health/engine.ts';
import { byWhom, forced, numberSchema, oneOf, orNull, shareSchema, textSchema } from './json-schema.ts';
import { timeSchema, whole, yes, type Schema } from './json-schema.ts';
import { safeAtOf } from './override-json.ts';
import type { VipState } from './vips.ts';

/** One member of a JSON object and how to read its value from `Source`. */
type Field<Source, Value> = { readonly schema: Schema; readonly of: (source: Source) => Value };
type Fields<Source> = Readonly<Record<string, Field<Source, unknown>>>;
type DocumentOf<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Field<never, infer Value> ? Value : never;
};

const FIELDS = {
  target: {
    schema: { type: 'string', examples: ['www.example.com/seoul-a'] },
    of: ({ info }) => info.target,
  },
  service: { schema: textSchema, of: ({ service }) => service },
  vip: { schema: textSchema, of: ({ info }) => info.name },
  region: { schema: orNull(textSchema), of: ({ region }) => (region === '' ? null : region) },
  a: { schema: orNull({ type: 'string', format: 'ipv4' }), of: ({ info }) => info.a ?? null },
  aaaa: { schema: orNull({ type: 'string', format: 'ipv6' }), of: ({ info }) => info.aaaa ?? null },
  cname: { schema: orNull(textSchema), of: ({ info }) => info.cname ?? null },
  leads_to: {
    schema: { ...orNull(textSchema), description: 'The service that answers in its place.' },
    of: ({ info }) => info.inner ?? null,
  },
  records: {
    schema: {
      type: 'object',
      additionalProperties: { type: 'array', items: textSchema },
      description: 'Its records of other types, by type, in presentation format.',
      examples: [{ TXT: ['"kr"'] }],
    },
    of: ({ info }) => Object.fromEntries((info.records ?? []).map(({ type, data }) => [type, data])),
  },
  weight: {
    schema: { ...whole, description: 'The weight that steering uses.' },
    of: ({ health, info }) => health?.weight ?? info.weight,
  },
  file_weight: {
    schema: { ...whole, description: 'The weight of the zone file.' },
    of: ({ info }) => info.weight,
  },
  ramp: {
    schema: { ...shareSchema, description: 'The share of its weight in use; below 1 while it ramps.' },
    of: ({ health }) => health?.ramp ?? 1,
  },
  load: {
    schema: {
      ...orNull({ type: 'number', minimum: 0 }),
      description: 'Load as a share of its capacity; null if the service does not shed or no load is known.',
    },
    of: ({ health }) => health?.load ?? null,
  },
  shed: {
    schema: { ...shareSchema, description: 'The share of its clients that it sheds.' },
    of: ({ health }) => health?.shed ?? 0,
  },
  weight_override: objectOrNull(({ health }: VipState) => health?.weightOverride, {
    weight: { schema: whole, of: ({ weight }) => weight },
    reason: { schema: orNull(textSchema), of: ({ reason }) => reason ?? null },
    since: { schema: timeSchema, of: ({ since }) => since },
    by: { schema: byWhom, of: ({ by }) => by },
    who: { schema: orNull(textSchema), of: ({ who }) => who ?? null },
  }),
  check: objectOrNull(({ health }: VipState) => health?.check, {
    name: { schema: textSchema, of: ({ name }) => name },
    kind: { schema: textSchema, of: ({ kind }): string => kind },
  }),
  address: {
    schema: { type: 'string', description: 'Where the check connects; `push` or `none` otherwise.' },
    of: ({ health }) => health?.address ?? 'none',
  },
  probed: {
    schema: oneOf('up', 'down', 'unknown'),
    of: ({ health }) => health?.probed ?? 'unknown',
  },
  effective: { schema: oneOf('up', 'down', 'unknown', 'drain'), of: ({ effective }) => effective },
  available: { schema: yes, of: ({ available }) => available },
  since: {
    schema: { ...orNull(timeSchema), description: 'Since when `probed` has its value.' },
    of: ({ health }) => health?.since ?? null,
  },
  held_until: {
    schema: { ...orNull(timeSchema), description: 'Until when `flap` holds the VIP down.' },
    of: ({ health }) => health?.heldUntil ?? null,
  },
  last_result: objectOrNull(({ health }: VipState) => health?.last, {
    passed: { schema: yes, of: ({ passed }) => passed },
    reason: { schema: textSchema, of: ({ reason }) => reason },
    duration_ms: { schema: numberSchema, of: ({ elapsedMs }) => elapsedMs },
    at: { schema: timeSchema, of: ({ at }) => at },
  }),
  probes: objectOrNull(({ health }: VipState) => health?.probes, {
    made: {
      schema: {
        ...whole,
        description:
          'Probes of this node that passed or failed since the check was configured; reports of a `push` check are none.',
      },
      of: ({ made }) => made,
    },
    failed: {
      schema: { ...whole, description: 'Those that failed.' },
      of: ({ failed }) => failed,
    },
  }),
  dissent: {
    schema: {
      ...orNull(textSchema),
      description: 'In a fleet: why its verdict is not what this node sees; null if it is.',
    },
    of: ({ dissent }) => dissent ?? null,
  },
  run: objectOrNull(({ health }: VipState) => health?.run, {
    passed: { schema: yes, of: ({ passed }) => passed },
    results: { schema: { ...whole, description: 'Consecutive equal results.' }, of: ({ results }) => results },
  }),
  override: objectOrNull(({ health }: VipState) => health?.override, {
    state: { schema: forced, of: ({ state }) => state },
    reason: { schema: orNull(textSchema), of: ({ reason }) => reason ?? null },
    since: { schema: timeSchema, of: ({ since }) => since },
    until: { schema: orNull(timeSchema), of: ({ until }) => until ?? null },
    by: { schema: byWhom, of: ({ by }) => by },
    who: { schema: orNull(textSchema), of: ({ who }) => who ?? null },
    safe_at: {
      schema: {
        ...orNull(timeSchema),
        description: 'When the last cached answer that names it expires; null for `up` and while DNS answers name it.',
      },
      of: safeAtOf,
    },
  }),
  // These two come last: vip-json.ts keeps the octets before them.
  served: {
    schema: { ...whole, description: 'Answers that named it, since the start.' },
    of: ({ served }) => served,
  },
  served_last_minute: {
    schema: { ...whole, description: 'Answers that named it in the last minute.' },
    of: ({ servedLately }) => servedLately,
  },
} as const satisfies Fields<VipState>;

/** One entry of `GET /api/v1/health`. */
export type VipDocument = DocumentOf<typeof FIELDS>;

export const vipSchema: Schema = schemaOf(FIELDS);

export function vipDocument(state: VipState): VipDocument {
  return documentOf(FIELDS, state);
}

/** An object with `fields`, or null where `from` finds nothing. */
function objectOrNull<Source, Table extends Fields<Source>>(
  from: (state: VipState) => Source | undefined,
  fields: Table,
): Field<VipState, DocumentOf<Table> | null> {
  return {
    schema: orNull(schemaOf(fields)),
    of: (state) => {
      const source = from(state);
      return source === undefined ? null : documentOf(fields, source);
    },
  };
}

function documentOf<Source, Table extends Fields<Source>>(fields: Table, source: Source): DocumentOf<Table> {
  const members = Object.entries<Field<Source, unknown>>(fields).map(([name, { of }]) => [name, of(source)]);
  return Object.fromEntries(members) as DocumentOf<Table>;
}

function schemaOf(fields: Readonly<Record<string, { readonly schema: Schema }>>): Schema {
  const properties = Object.fromEntries(Object.entries(fields).map(([name, { schema }]) => [name, schema]));
  return { type: 'object', properties, required: Object.keys(fields) };
}

/**
 * Every member of VipHealth: `fixed` while the generation has the VIP, or `changes`. A new member does not compile
 * until it has a row here. `isSameHealth` compares the members that change; a loop over this table takes several times
 * as long.
 */
export const VIP_MEMBERS = {
  slot: 'fixed',
  target: 'fixed',
  region: 'fixed',
  checked: 'fixed',
  check: 'changes',
  address: 'changes',
  probed: 'changes',
  effective: 'changes',
  last: 'changes',
  probes: 'changes',
  since: 'changes',
  heldUntil: 'changes',
  run: 'changes',
  override: 'changes',
  weight: 'changes',
  fileWeight: 'changes',
  weightOverride: 'changes',
  ramp: 'changes',
  load: 'changes',
  shed: 'changes',
} as const satisfies Readonly<Record<keyof VipHealth, 'fixed' | 'changes'>>;

/** Whether both give the same document. False also where comparing them would take long. */
export function isSameHealth(a: VipHealth | undefined, b: VipHealth | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.last === b.last &&
    a.probes?.made === b.probes?.made &&
    a.probes?.failed === b.probes?.failed &&
    a.probed === b.probed &&
    a.effective === b.effective &&
    a.since === b.since &&
    a.heldUntil === b.heldUntil &&
    a.run?.results === b.run?.results &&
    a.run?.passed === b.run?.passed &&
    a.weight === b.weight &&
    a.fileWeight === b.fileWeight &&
    a.weightOverride === b.weightOverride &&
    a.ramp === b.ramp &&
    a.load === b.load &&
    a.shed === b.shed &&
    // `safe_at` of an override may differ at any time.
    a.override === undefined &&
    b.override === undefined &&
    a.check?.name === b.check?.name &&
    a.check?.kind === b.check?.kind &&
    a.address === b.address
  );
}
