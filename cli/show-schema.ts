/**
 * `pharos schema [config|zone]`: the JSON Schema of the files, made from the readers' own definitions.
 */
import { configSchema } from '../config/read-settings.ts';
import type { JsonSchema } from '../config/schema.ts';
import { zoneSchema } from '../zones/read/read-zone.ts';
import { sharedSchemas } from '../zones/read/shared-parts.ts';

export type SchemaOf = 'config' | 'zone';

/** The text of the schema, as `docs/schema/` has it. */
export function schemaText(of: SchemaOf): string {
  const [title, schema]: [string, JsonSchema] =
    of === 'config' ? ['pharos.yaml', configSchema(sharedSchemas())] : ['A zone file of Pharos', zoneSchema()];
  const draft = 'http://json-schema.org/draft-07/schema#';
  return JSON.stringify({ $schema: draft, title, ...(schema as object) }, undefined, 2);
}
