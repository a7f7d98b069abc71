/**
 * `schedules` of pharos.yaml: changes at the times of cron lines (docs/schedules.md).
 */
import { validate as isCronLine } from 'node-cron';
import type { Report } from './diagnostics.ts';
import {
  choice,
  dictionary,
  integer,
  list,
  map,
  optional,
  orNone,
  required,
  scalar,
  text,
  type Read,
} from './fields.ts';
import { anyOf, described, notEmpty, schemaOf, type JsonSchema } from './schema.ts';
import type { ScheduledChange, ScheduleSpec } from './settings.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

export const cronLine = scalar(
  'a cron line',
  (value) => (isCronLine(value) ? value : undefined), //
  { code: 'PH034', hint: 'minute, hour, day, month, weekday: "0 4 * * 3" is Wednesdays at four' },
);

const timezone = scalar(
  'a time zone',
  (value) => (isTimezone(value) ? value : undefined), //
  { code: 'PH070', hint: 'of the IANA database: Asia/Seoul, Europe/Dublin, UTC' },
);

const HINT = 'such as { weight: 0 } or { state: drain }';

const readChange = map('set', {
  weight: optional(weightOrAuto()),
  state: optional(choice(['up', 'down', 'drain', 'auto'])),
});

const changes: Read<ScheduledChange[]> = dictionary(
  ({ key, value }, report) => {
    const change = readChange(value, `the change of ${key.text}`, report);
    const target = text({ maxOctets: 512 })(key, 'a target', report);
    if (!change || target === undefined) return undefined;
    if (change.weight === undefined && change.state === undefined) {
      // Invalid keys have been reported.
      if (value.kind !== 'map' || value.entries.length === 0) {
        report.error('PH072', `the change of ${target} is empty: give it a weight or a state`, nodePlace(key), HINT);
      }
      return undefined;
    }
    return { target, ...change, place: nodePlace(key) };
  },
  described(
    () => notEmpty(schemaOf(readChange, 'set')),
    () => undefined,
  ),
);

const set: Read<ScheduledChange[]> = described(
  () => notEmpty(schemaOf(changes, 'set')),
  (node: YamlNode, name: string, report: Report) => {
    if ((node.kind === 'map' && node.entries.length === 0) || node.kind === 'null') {
      report.error(
        'PH072',
        'the schedule changes nothing',
        nodePlace(node),
        `set: { www.example.com/canary: { weight: 0 } }`,
      );
      return undefined;
    }
    return changes(node, name, report);
  },
);

export const schedules: Read<ScheduleSpec[]> = orNone(
  list(
    map('schedules', {
      at: required(cronLine, 'a cron line: at: "0 22 * * *"'),
      timezone: optional(timezone),
      set: required(set, 'set: { www.example.com/canary: { weight: 0 } }'),
    }),
  ),
);

/** 0 to 65535, or `auto` for the weight of the zone file. */
function weightOrAuto(): Read<number | 'auto'> {
  const number = integer({ min: 0, max: 65_535, hint: 'or auto, for the weight of the zone file' });
  const schema = (): JsonSchema => anyOf({ const: 'auto' }, schemaOf(number, 'weight'));
  return described(schema, (node: YamlNode, name: string, report: Report): number | 'auto' | undefined =>
    node.kind === 'scalar' && node.text === 'auto' ? 'auto' : number(node, name, report),
  );
}

function isTimezone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
