/**
 * The records of zones (docs/http-api.md#records): lists of them, and changes by tokens with the role `update`.
 */
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { nearestHint } from '../config/nearest-word.ts';
import { parseAddress } from '../wire/address.ts';
import { MAX_TTL_SECONDS } from '../wire/limits.ts';
import { canonical, formatName, isWithin, NameError, parseName, type Name } from '../wire/name.ts';
import { formatRdata, parseRdataText, RdataError } from '../wire/rdata.ts';
import { isMetaType, typeNumber, typeText } from '../wire/types.ts';
import { problem, ProblemError, sendProblem, type Problem } from './problem.ts';
import type { ListedSet, AskedChange, RecordOutcome, HeldRecords, Runtime } from './runtime.ts';

type ListQuery = { readonly zone: string; readonly name?: string; readonly type?: string };
type SetQuery = { readonly dry_run?: Flag; readonly add?: Flag };
type DeleteQuery = { readonly dry_run?: Flag; readonly record?: string | readonly string[] };
type Flag = 'true' | 'false';
type SetBody = { readonly ttl: number; readonly records: readonly string[] };

const PATH = '/api/v1/records';
/** Names in presentation format: 255 octets may be 4 characters each. */
const text = { type: 'string', minLength: 1, maxLength: 1024 } as const;
const flag = { type: 'string', enum: ['true', 'false'] } as const;
/** Data in presentation format: no longer than the body. */
const MAX_RECORDS = 4096;
/** Of data, in messages. */
const MAX_SHOWN_LETTERS = 100;
const record = { type: 'string', minLength: 1, maxLength: 65_536 } as const;

export const recordsQuery = {
  type: 'object',
  additionalProperties: false,
  required: ['zone'],
  properties: { zone: text, name: text, type: text },
} as const;

export const setRecordsQuery = {
  type: 'object',
  additionalProperties: false,
  properties: { dry_run: flag, add: flag },
} as const;

export const deleteRecordsQuery = {
  type: 'object',
  additionalProperties: false,
  // One value is a string, several are an array.
  properties: { dry_run: flag, record: { type: ['string', 'array'], items: record, maxItems: MAX_RECORDS } },
} as const;

export const setRecordsBody = {
  type: 'object',
  additionalProperties: false,
  required: ['ttl', 'records'],
  properties: {
    ttl: { type: 'integer', minimum: 0, maximum: MAX_TTL_SECONDS },
    records: { type: 'array', items: record, minItems: 1, maxItems: MAX_RECORDS },
  },
} as const;

export function recordRoutes(app: FastifyInstance, runtime: Runtime): void {
  listRoute(app, runtime);

  app.put<{ Body: SetBody; Querystring: SetQuery }>(
    `${PATH}/*`,
    { schema: { body: setRecordsBody, querystring: setRecordsQuery }, config: { access: 'update' } },
    async (request, reply) => {
      const of = addressed(request, runtime);
      const { ttl: ttlSeconds, records } = request.body;
      const kind = request.query.add === 'true' ? 'add' : 'set';
      const change = { kind, ttlSeconds, data: dataOf(of, records) } as const;
      return await answer(runtime, request, reply, { ...of, change });
    },
  );

  app.delete<{ Querystring: DeleteQuery }>(
    `${PATH}/*`,
    { schema: { querystring: deleteRecordsQuery }, config: { access: 'update' } },
    async (request, reply) => {
      const of = addressed(request, runtime);
      const { record: records } = request.query;
      const change = {
        kind: 'delete',
        data: records === undefined ? undefined : dataOf(of, [records].flat()),
      } as const;
      return await answer(runtime, request, reply, { ...of, change });
    },
  );
}

/** Each holds a connection, and the memory of the zone as it was. */
const MAX_LISTS = 4;
/** Then a list ends: a client may be slow, but not for ever. */
const MAX_LIST_MS = 300_000;
/** Characters after which others get their turn. */
const PIECE_LETTERS = 32 * 1024;

function listRoute(app: FastifyInstance, runtime: Runtime): void {
  let open = 0;
  app.get<{ Querystring: ListQuery }>(PATH, { schema: { querystring: recordsQuery } }, (request, reply) => {
    const { zone: zoneText, name: nameText, type: typeName } = request.query;
    const zone = zoneOf(zoneText);
    const name = nameText === undefined ? undefined : nameOf(nameText, zone);
    const type = typeName === undefined ? undefined : typeOf(typeName);
    const list = runtime.records.list(zone, { name, type });
    if (!list) throw unknownZone(runtime, zone);
    const { serial, takesChanges, sets } = list;
    const tag = tagOf(serial);
    void reply.header('etag', tag).type('application/json; charset=utf-8');
    if (isListed(request.headers['if-none-match'], tag)) return reply.code(304).send();
    if (request.method === 'HEAD') return reply.send();
    if (open >= MAX_LISTS) {
      throw new ProblemError(503, `${MAX_LISTS} lists of records are being read already`, { hint: 'try again' });
    }
    open++;
    const head = { zone: formatName(zone), serial, takes_changes: takesChanges };
    const stream = Readable.from(listText(head, sets), { objectMode: false });
    const limit = setTimeout(() => stream.destroy(), MAX_LIST_MS);
    stream.once('close', () => {
      open--;
      clearTimeout(limit);
    });
    return reply.send(stream);
  });
}

async function* listText(head: object, sets: Iterable<ListedSet | undefined>): AsyncGenerator<string> {
  let piece = `${JSON.stringify(head).slice(0, -1)},"records":[`;
  let before = '';
  for (const set of sets) {
    if (set) {
      piece += `${before}\n${JSON.stringify(listedDocument(set))}`;
      before = ',';
    } else await setImmediate();
    if (piece.length < PIECE_LETTERS) continue;
    yield piece;
    piece = '';
    await setImmediate();
  }
  yield `${piece}]}\n`;
}

type Addressed = Pick<AskedChange, 'zone' | 'name' | 'type'>;

/**
 * Reads `{zone}/{name}/{type}` of a path. Each is decoded by itself, because names may contain slashes (RFC 2317),
 * which clients send as `%2F`.
 */
function addressed(request: FastifyRequest, runtime: Runtime): Addressed {
  const [path = ''] = request.url.split('?', 1);
  const parts = path.slice(PATH.length + 1).split('/');
  const [zoneText = '', nameText = '', typeName = '', ...rest] = parts.map((each) => decodeURIComponent(each));
  const zone = zoneOf(zoneText);
  if (!runtime.records.list(zone, { name: zone, type: 0 })) throw unknownZone(runtime, zone);
  if (typeName === '' || nameText === '' || rest.length > 0) {
    throw new ProblemError(400, `the path must be ${PATH}/ZONE/NAME/TYPE`, {
      parameter: 'path',
      hint: 'write a slash in a name as %2F; the name of the zone itself is @',
    });
  }
  return { zone, name: nameOf(nameText, zone), type: typeOf(typeName) };
}

function zoneOf(zone: string): Name {
  return canonical(parsed(zone.endsWith('.') ? zone : `${zone}.`, undefined, 'zone'));
}

/** A name that ends with the name of the zone is absolute, also without a final dot. */
function nameOf(name: string, zone: Name): Name {
  const absolute = name.endsWith('.') || name === '@' ? undefined : parsed(`${name}.`, undefined, 'name');
  const found = absolute && isWithin(absolute, zone) ? absolute : parsed(name, zone, 'name');
  if (isWithin(found, zone)) return canonical(found);
  throw new ProblemError(400, `${formatName(found)} is not in the zone ${formatName(zone)}`, { parameter: 'name' });
}

function parsed(name: string, origin: Name | undefined, parameter: string): Name {
  try {
    return parseName(name, origin);
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    throw new ProblemError(400, error.message, { parameter });
  }
}

function typeOf(name: string): number {
  const type = typeNumber(name.toUpperCase());
  if (type !== undefined && !isMetaType(type)) return type;
  throw new ProblemError(400, `"${name}" is not a type of records`, {
    parameter: 'type',
    hint: 'such as A, TXT or TYPE65400',
  });
}

function dataOf({ zone, type }: Addressed, records: readonly string[]): readonly Uint8Array[] {
  return records.map((each, index) => {
    try {
      return parseRdataText(type, each, zone);
    } catch (error) {
      if (!(error instanceof RdataError || error instanceof NameError)) throw error;
      const shown = each.length > MAX_SHOWN_LETTERS ? `${each.slice(0, MAX_SHOWN_LETTERS)}...` : each;
      const message = error.message.slice(0, 2 * MAX_SHOWN_LETTERS);
      throw new ProblemError(422, `${typeText(type)} "${shown}": ${message}`, { parameter: `records.${index}` });
    }
  });
}

type Asked = FastifyRequest<{ Querystring: SetQuery | DeleteQuery }>;

async function answer(
  runtime: Runtime,
  request: Asked,
  reply: FastifyReply,
  asked: Addressed & Pick<AskedChange, 'change'>,
): Promise<RecordsChanged | FastifyReply> {
  const { zone, name, type } = asked;
  const isDryRun = request.query.dry_run === 'true';
  const peer =
    parseAddress((request.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '')) ?? new Uint8Array(4);
  const conditions = conditionsOf(request);
  const outcome = await runtime.records.change({ ...asked, ...conditions, isDryRun, who: request.who ?? '', peer });
  if (!outcome.ok) {
    if (outcome.serial !== undefined) void reply.header('etag', tagOf(outcome.serial));
    await sendProblem(reply, refusal(runtime, zone, outcome));
    return reply;
  }
  const { serial, changes } = outcome;
  void reply.header('etag', tagOf(serial));
  return {
    ...{ zone: formatName(zone), name: formatName(name), type: typeText(type), serial, dry_run: isDryRun },
    changes: changes.map((each) => ({
      ...{ name: formatName(each.name), type: typeText(each.type) },
      ...{ before: setDocument(each.type, each.before), after: setDocument(each.type, each.after) },
    })),
  };
}

/** `If-Match` and `If-None-Match` (RFC 9110 13.1). */
function conditionsOf({ headers }: FastifyRequest): Pick<AskedChange, 'serial' | 'exists'> {
  const { 'if-match': match, 'if-none-match': none } = headers;
  if (none !== undefined && none.trim() !== '*') {
    throw new ProblemError(400, 'If-None-Match of a change can only be *', { parameter: 'if-none-match' });
  }
  const absent = none === undefined ? undefined : false;
  if (match === undefined) return { serial: undefined, exists: absent };
  if (match.trim() === '*') return { serial: undefined, exists: absent ?? true };
  const [, serial] = /^\s*"?(\d{1,10})"?\s*$/.exec(match) ?? [];
  if (serial === undefined || Number(serial) > 0xffff_ffff) {
    const hint = 'send the ETag of GET /api/v1/records, such as "2026112901"';
    throw new ProblemError(400, 'If-Match must be the serial of the zone, or *', { parameter: 'if-match', hint });
  }
  return { serial: Number(serial), exists: absent };
}

const STATUS = {
  'unknown zone': 404,
  absent: 404,
  forbidden: 403,
  conflict: 409,
  precondition: 412,
  invalid: 422,
  'not kept': 503,
} as const;

const HINTS = {
  forbidden: 'add a rule for this token to updates in pharos.yaml: docs/updates.md',
  precondition: 'read the records again, and decide again',
  'not kept': 'nothing was changed',
} as const;

function refusal(runtime: Runtime, zone: Name, { kind, why, serial }: RecordOutcome & { readonly ok: false }): Problem {
  if (kind === 'unknown zone') return unknownZone(runtime, zone).problem;
  const hint = kind in HINTS ? { hint: HINTS[kind as keyof typeof HINTS] } : {};
  return problem(STATUS[kind], why, { ...hint, ...(serial === undefined ? {} : { serial }) });
}

function unknownZone(runtime: Runtime, zone: Name): ProblemError {
  const name = formatName(zone);
  const names = runtime.generation().catalog.zones.map((each) => each.name);
  return new ProblemError(404, `unknown zone ${name}`, { parameter: 'zone', hint: nearestHint(name, names) });
}

function tagOf(serial: number): string {
  return `"${serial}"`;
}

function isListed(header: string | undefined, tag: string): boolean {
  return header?.split(',').some((each) => each.trim().replace(/^W\//, '') === tag) ?? false;
}

/** Records in presentation format. */
export type SetDocument = { readonly ttl: number; readonly records: readonly string[] };

/** An entry of the list. `ttl` is null if the records are deleted. */
export type ListedDocument = {
  readonly name: string;
  readonly type: string;
  readonly ttl: number | null;
  readonly records: readonly string[];
  readonly source: ListedSet['source'];
  readonly replaces_file: boolean;
};

/** A set that changes; null: there are no records. */
export type ChangedDocument = {
  readonly name: string;
  readonly type: string;
  readonly before: SetDocument | null;
  readonly after: SetDocument | null;
};

/** The reply to a change. */
export type RecordsChanged = {
  readonly zone: string;
  readonly name: string;
  readonly type: string;
  readonly serial: number;
  readonly dry_run: boolean;
  readonly changes: readonly ChangedDocument[];
};

function setDocument(type: number, set: HeldRecords | undefined): SetDocument | null {
  return set ? { ttl: set.ttlSeconds, records: set.data.map((each) => formatRdata(type, each)) } : null;
}

function listedDocument({ name, type, ttlSeconds, data, source, replacesFile }: ListedSet): ListedDocument {
  return {
    ...{ name: formatName(name), type: typeText(type), ttl: data.length === 0 ? null : ttlSeconds },
    ...{ records: data.map((each) => formatRdata(type, each)), source, replaces_file: replacesFile },
  };
}
