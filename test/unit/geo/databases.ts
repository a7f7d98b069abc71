/** Databases for tests, written to a temporary folder and opened from there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createReport, type Diagnostic } from '../../../config/diagnostics.ts';
import { openDatabase, type Database, type DatabaseTree } from '../../../geo/database.ts';
import type { DatabaseSource } from '../../../geo/geography.ts';
import { writeMmdb, type MmdbOptions } from '../../support/mmdb.ts';
import type { DatabaseText } from './reference.ts';

/** The time at which tests open databases: shortly after the build time of writeMmdb's files. */
export const NOW_MS = 1_780_000_000_000 + 10 * 86_400_000;

/** A folder that is removed when the file's tests are done. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-geo-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

export function opened(folder: string, rows: DatabaseText, options: MmdbOptions = {}): Database {
  const result = openBytes(folder, writeMmdb(rows, options));
  if (!result.database) throw new Error(JSON.stringify(result.diagnostics));
  return result.database;
}

export function openBytes(
  folder: string,
  bytes: Buffer | string,
): { readonly database: Database | undefined; readonly diagnostics: readonly Diagnostic[]; readonly path: string } {
  const path = join(folder, 'test.mmdb');
  writeFileSync(path, bytes);
  const report = createReport();
  const database = openDatabase(path, report, { nowMs: NOW_MS });
  return { database, diagnostics: report.diagnostics, path };
}

/** Their trees, decoded. */
export function treesOf(sources: readonly DatabaseSource[]): DatabaseTree[] {
  return sources.flatMap((source) => source.decode()?.tree ?? []);
}
