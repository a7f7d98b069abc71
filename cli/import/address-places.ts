/**
 * Where addresses are, by the bundled database: for sources that choose the nearest address and do not say where each
 * one is.
 */
import { readFileSync } from 'node:fs';
import { Reader, type Response } from 'maxmind';
import { bundledDatabasePath } from '../../geo/geography.ts';
import { readRecord } from '../../geo/location.ts';

let reader: Reader<Response> | undefined;

/** The country of an address; undefined if the database does not have it. */
export function countryOf(address: string): string | undefined {
  reader ??= new Reader<Response>(readFileSync(bundledDatabasePath()));
  const { country } = readRecord(reader.get(address));
  return country === '' ? undefined : country;
}
