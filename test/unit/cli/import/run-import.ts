/**
 * `pharos import` for tests: its output, its notes, a server with its result, and clients of places.
 */
import { join } from 'node:path';
import { expect } from 'vitest';
import { importCommand, type ImportOptions } from '../../../../cli/import.ts';
import { loadInputFor } from '../../../../cli/load-input.ts';
import { continentOf } from '../../../../geo/countries.ts';
import { formatRdata } from '../../../../wire/rdata.ts';
import { typeNumber } from '../../../../wire/types.ts';
import { T } from '../../../support/message.ts';
import { writeMmdb, type MmdbValue } from '../../../support/mmdb.ts';
import { answering, bundledGeography, folderOf, type Answering, type Files } from '../../../support/pharos.ts';
import { captureOutput } from '../captured-output.ts';

const BASE: ImportOptions = {
  format: 'bind',
  path: '',
  zone: undefined,
  nameServers: [],
  output: undefined,
  json: false,
};

export type Imported = {
  readonly code: number;
  readonly out: string;
  readonly error: string;
  /** Without leading spaces. */
  readonly notes: readonly string[];
};

/** The input of a command, with the atlas of this process: each import would read 25 MB of it from the cache. */
export function withBundledGeography(): ReturnType<typeof loadInputFor> {
  return { ...loadInputFor(undefined), geographyInUse: bundledGeography() };
}

/** Imports a file or folder. */
export function runImport(format: string, path: string, more: Partial<ImportOptions> = {}): Imported {
  const { output, out, error } = captureOutput();
  const code = importCommand({ ...BASE, format, path, ...more }, output, withBundledGeography());
  return { code, out: out(), error: error(), notes: notesIn(error()) };
}

/** The lines of notes in what the command prints. */
export function notesIn(error: string): string[] {
  return error.split('\n').flatMap((line) => (/^ {2}(?:changed|dropped) /.test(line) ? line.trim() : []));
}

/** Imports `path`, which is relative to the folder of these files. */
export function importFiles(format: string, files: Files, path: string, more: Partial<ImportOptions> = {}): Imported {
  using folder = folderOf(files);
  return runImport(format, join(folder.path, path), more);
}

/** The same; the result must be valid. */
export function importValid(format: string, files: Files, path: string, more: Partial<ImportOptions> = {}): Imported {
  const imported = importFiles(format, files, path, more);
  expect(imported.code, imported.error).toBe(0);
  return imported;
}

/** The expected lines are in the YAML. */
export function expectLines(yaml: string, lines: readonly string[]): void {
  const written = yaml.split('\n');
  for (const line of lines) expect(written).toContain(line);
}

export type Server = Answering & {
  /** The addresses of the answer, or of the end of its CNAME chain, for a client of this network. */
  readonly addresses: (name: string, client?: string, type?: number) => readonly string[];
  /** The addresses of 64 answers for a name in example.com, each once, in order. */
  readonly seen: (label: string, client?: string) => readonly string[];
  /** The records of a type in one answer, in presentation format. */
  readonly texts: (name: string, type: string, client?: string) => readonly string[];
};

/** A client in the first network of most geographies. */
const CLIENT = '192.0.2.1';

/** A server with the imported zone, and other files. */
export function serverOf(yaml: string, files: Files = {}): Server {
  const server = answering({ 'zones/z.yaml': yaml, ...files });
  const from = (client: string | undefined): { readonly from?: string } =>
    client === undefined ? {} : { from: client };
  const addresses: Server['addresses'] = (name, client, type = T.A) =>
    server.ask(name, type, from(client)).answer.flatMap((record) => (record.type === type ? addressText(record.data) : [])); // prettier-ignore
  return {
    ...server,
    addresses,
    seen: (label, client = CLIENT) => {
      const all = Array.from({ length: 64 }, () => addresses(`${label}.example.com`, client));
      return [...new Set(all.flat())].toSorted();
    },
    texts: (name, type, client) => {
      const number = typeNumber(type) ?? 0;
      const { answer } = server.ask(name, number, from(client));
      return answer.map(({ data }) => formatRdata(number, Buffer.from(data, 'hex')));
    },
  };
}

const CONTINENTS: Readonly<Record<string, string>> = {
  ...{ africa: 'AF', antarctica: 'AN', asia: 'AS', europe: 'EU', oceania: 'OC' },
  ...{ 'north-america': 'NA', 'south-america': 'SA' },
};

/** Hexadecimal octets as an IPv4 address; longer data as it is. */
function addressText(data: string): string {
  return data.length === 8 ? [...Buffer.from(data, 'hex')].join('.') : data;
}

/**
 * A pharos.yaml with a database in which clients of these networks have these places: `KR`, `US-CA`, or with a
 * position,
 * `KR 37,127`.
 */
export function geographyOf(places: Readonly<Record<string, string>>): Files {
  const rows = Object.entries(places).map(([network, place]): readonly [string, MmdbValue] => {
    const [code = '', position] = place.split(' ');
    const [country = '', subdivision] = code.split('-');
    const [latitude = 0, longitude = 0] = position?.split(',').map(Number) ?? [];
    return [
      network,
      {
        country: { iso_code: country },
        continent: { code: CONTINENTS[continentOf(country)] ?? '' },
        ...(subdivision === undefined ? {} : { subdivisions: [{ iso_code: subdivision }] }),
        ...(position === undefined ? {} : { location: { latitude, longitude } }),
      },
    ];
  });
  return { 'pharos.yaml': 'geo: { databases: [small.mmdb] }\n', 'small.mmdb': writeMmdb(rows) };
}
