/**
 * The recipes of CONTRIBUTING.md name all files that a new kind of thing touches: no other file of the product knows
 * the kinds by name.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { CHECK_KINDS } from '../../config/check-kinds.ts';
import { TYPE_NUMBERS } from '../../wire/types.ts';
import { STEP_KINDS } from '../../zones/read/step-options.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ROOMS = ['wire', 'config', 'geo', 'health', 'fleet', 'steering', 'zones', 'server', 'status', 'cli'];

type Recipe = {
  /**
   * Names of the kinds: string literals, properties as they are written (`OP.STICKY`), members that are declared
   * (`run:`).
   */
  readonly names: readonly string[];
  /** The recipe's files. */
  readonly files: readonly string[];
  /** Files in which some of these words mean another thing, or which write the words for others to read. */
  readonly elsewhere: Readonly<Record<string, { readonly words: readonly string[]; readonly why: string }>>;
};

/** A row for each recipe. */
const RECIPES: Readonly<Record<string, Recipe>> = {
  'a steering step': {
    names: [...STEP_KINDS, 'OP.PLACE', 'OP.FIXED', 'OP.WEIGHTED', 'OP.STICKY', 'OP.ALL'],
    files: ['steering/steps.ts', 'steering/program.ts', 'zones/read/step-options.ts', 'server/explain/explain-step.ts'],
    elsewhere: {
      'config/fleet-rule.ts': { words: ['all'], why: '`quorum: all` and `probers: all`' },
      'fleet/choose-probers.ts': { words: ['all'], why: '`probers: all`' },
      'fleet/count.ts': { words: ['all'], why: '`quorum: all`' },
      'config/read-settings.ts': { words: ['geo'], why: 'a key of pharos.yaml' },
      'config/secrets.ts': { words: ['geo'], why: 'a key of pharos.yaml' },
      'cli/diff.ts': { words: ['geo'], why: 'a key of pharos.yaml' },
      'cli/service-text.ts': { words: ['all'], why: '`answers: all`' },
      'fleet/start-fleet.ts': { words: ['latency'], why: 'a key of the shared figures' },
      'status/fleet-document.ts': { words: ['all'], why: '`probers: all`' },
      'status/openapi-schemas.ts': { words: ['all'], why: '`probers: all`' },
      'zones/image/compile-services.ts': {
        words: ['OP.PLACE', 'OP.FIXED'],
        why: 'writes the rows that all steps share which prefer regions',
      },
      'zones/read/read-service.ts': { words: ['all'], why: '`answers: all`' },
    },
  },
  'a check kind': {
    names: CHECK_KINDS,
    files: [
      'config/check-kinds.ts',
      'health/checks/run-probe.ts',
      // One file per probe; a new kind has its own.
      ...['compound', 'dns', 'exec', 'grpc', 'http', 'tcp', 'tls'].map((kind) => `health/checks/probe-${kind}.ts`),
    ],
    elsewhere: {
      'config/read-compound.ts': {
        words: ['all_of', 'any_of', 'at_least'],
        why: 'the keys of the kinds that combine checks, which `config/check-kinds.ts` uses',
      },
      'config/read-fleet.ts': { words: ['tls'], why: 'a key of pharos.yaml' },
      'fleet/start-fleet.ts': { words: ['push'], why: 'part of a subject of NATS' },
      'fleet/nats-link.ts': { words: ['tls'], why: 'a key of the settings' },
      'config/read-settings.ts': { words: ['tls', 'dns'], why: 'keys of pharos.yaml' },
      'health/hysteresis.ts': { words: ['push'], why: 'how long a state holds: by reports or by probes' },
      'status/connections.ts': { words: ['http'], why: 'the subject of an alarm' },
      'status/metrics.ts': { words: ['tcp', 'tls'], why: 'transports of DNS queries' },
      'status/openapi.ts': { words: ['http', 'push'], why: 'a security scheme of OpenAPI, and an operation' },
      'cli/find-server.ts': { words: ['http', 'https', 'tls'], why: 'schemes of URLs, and a key of pharos.yaml' },
      'cli/serve/query-log.ts': { words: ['tcp', 'tls'], why: 'transports of DNS queries' },
      'cli/serve/run-server.ts': { words: ['http', 'https'], why: 'schemes of URLs' },
    },
  },
  'a VIP field of the API': {
    names: ['held_until:', 'last_result:', 'weight_override:', 'file_weight:', 'weightOverride:'],
    files: ['health/health.ts', 'health/vip-health.ts', 'status/vip-fields.ts'],
    elsewhere: {
      'server/explain/explain-words.ts': { words: ['weightOverride:'], why: 'the type of a parameter' },
      'status/openapi-schemas.ts': { words: ['file_weight:'], why: 'a member of /api/v1/weights' },
      'status/override-json.ts': { words: ['file_weight:'], why: 'a member of /api/v1/weights' },
    },
  },
  'a record type': {
    // Steering answers with A, AAAA and CNAME, so zones, forecasts and reports name these three.
    names: [...TYPE_NUMBERS.keys()].filter((mnemonic) => !['A', 'AAAA', 'CNAME'].includes(mnemonic)),
    files: ['wire/types.ts', 'wire/rdata/table.ts'],
    elsewhere: {
      'cli/export.ts': { words: ['MD', 'MF'], why: 'obsolete types, which BIND refuses' },
      'geo/countries.ts': { words: ['MF'], why: 'the country code of Saint Martin' },
      'geo/fibre.ts': { words: ['MX'], why: 'the country code of Mexico' },
      'status/page/built/world-map.ts': { words: ['MD', 'MG', 'MR', 'MX'], why: 'country codes' },
      'server/query-types.ts': {
        words: ['NS', 'SOA', 'MX', 'TXT', 'PTR', 'SRV', 'CAA', 'HTTPS', 'SVCB', 'DS', 'DNSKEY'],
        why: 'the common types, which metrics count apart; a new type counts as one of the others',
      },
      'server/explain/explain-signing.ts': { words: ['RRSIG'], why: 'the records that it describes' },
      'server/explain/explain-answer.ts': { words: ['SOA'], why: 'the record whose TTL limits negative answers' },
    },
  },
};

/** Where other systems have words of their own, and files in their formats are read or written. */
const FOREIGN = /^cli\/(?:import\/|octodns-|export-octodns)/;

const sources = ROOMS.flatMap((room) =>
  readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${room}/${name}`)
    .filter((file) => !FOREIGN.test(file)),
).map((file) => ({ file, words: wordsIn(file) }));

/** String literals, and properties of a name in capitals. */
function wordsIn(file: string): ReadonlySet<string> {
  const words = new Set<string>();
  const visit = (node: ts.Node): void => {
    // `Settings['geo']` is a key.
    if (ts.isIndexedAccessTypeNode(node)) return;
    if (ts.isStringLiteralLike(node)) words.add(node.text);
    if (
      ts.isPropertyAccessExpression(node) &&
      ts.isIdentifier(node.expression) &&
      /^[A-Z_]+$/.test(node.expression.text)
    )
      words.add(`${node.expression.text}.${node.name.text}`);
    if ((ts.isPropertyAssignment(node) || ts.isPropertySignature(node)) && ts.isIdentifier(node.name))
      words.add(`${node.name.text}:`);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.Latest, true));
  return words;
}

describe.each(Object.entries(RECIPES))('%s', (_, { names, files, elsewhere }) => {
  const named = sources.flatMap(({ file, words }) => {
    const found = names.filter((name) => words.has(name));
    return found.length > 0 ? [{ file, found }] : [];
  });

  test('is named in the files of its recipe alone', () => {
    const others = named
      .filter(({ file }) => !files.includes(file))
      .map(({ file, found }) => ({ file, found: found.filter((name) => !elsewhere[file]?.words.includes(name)) }))
      .filter(({ found }) => found.length > 0);
    expect(others).toEqual([]);
  });

  test('has no file in its recipe that does not name it', () => {
    expect(files.filter((file) => !named.some((each) => each.file === file))).toEqual([]);
    const unused = Object.entries(elsewhere).filter(([file, { words }]) => {
      const found = named.find((each) => each.file === file)?.found ?? [];
      return words.some((word) => !found.includes(word));
    });
    expect(unused).toEqual([]);
  });
});
