/**
 * `beacon` of pharos.yaml: round-trip times measured in users' browsers (docs/latency.md#measured-by-browsers).
 */
import type { Report } from './diagnostics.ts';
import { dictionary, duration, integer, list, map, required, scalar, withDefault, type Read } from './fields.ts';
import { MAX_BEACON_REGIONS, MAX_BEACON_SOURCES, MAX_BEACON_TRIES, MAX_BEACON_WINDOW_MS } from './limits.ts';
import { nearestHint } from './nearest-word.ts';
import { prefix } from './network-fields.ts';
import { described, like, openMap, schemaOf } from './schema.ts';
import type { BeaconSettings, RegionSpec } from './settings.ts';
import { httpUrl, isHttpUrl } from './url-field.ts';
import { nodePlace, type YamlNode, type YamlScalar } from './yaml.ts';

/** As written in the file. Its regions are looked up after the whole file has been read. */
export type WrittenBeacon = Omit<BeaconSettings, 'urls'> & {
  readonly urls: readonly { readonly region: YamlScalar; readonly url: string }[];
};

const url = httpUrl('PH086', 'such as https://seoul.example.com/ping, a small file that the region itself serves');

const origin = scalar('the origin of a web page', (value) => (isOrigin(value) ? value : undefined), {
  code: 'PH087',
  hint: 'such as https://www.example.com, without a path',
});

const urls: Read<WrittenBeacon['urls']> = described(
  () => openMap(schemaOf(url, 'urls')),
  (node: YamlNode, name: string, report: Report) => {
    const read = dictionary(({ key, value }, inner) => {
      const found = url(value, `the URL of ${key.text}`, inner);
      return found === undefined ? undefined : { region: key, url: found };
    })(node, name, report);
    if (!read || read.length <= MAX_BEACON_REGIONS) return read;
    report.error('PH026', `${name} has ${read.length} regions`, nodePlace(node), `at most ${MAX_BEACON_REGIONS}`);
    return undefined;
  },
);

const readMap = map('beacon', {
  urls: required(urls, 'a URL for each region: urls: { seoul: "https://seoul.example.com/ping" }'),
  tries: withDefault(integer({ min: 1, max: MAX_BEACON_TRIES }), 5),
  window: withDefault(duration({ minMs: 60_000, maxMs: MAX_BEACON_WINDOW_MS }), 86_400_000),
  min_sources: withDefault(integer({ min: 1, max: MAX_BEACON_SOURCES }), 3),
  apply: withDefault(duration({ minMs: 1000, maxMs: MAX_BEACON_WINDOW_MS }), 300_000),
  proxies: withDefault(list(prefix()), []),
  origins: withDefault(list(origin), []),
});

export const beacon: Read<WrittenBeacon> = like(readMap, (node: YamlNode, name: string, report: Report) => {
  const read = readMap(node, name, report);
  return (
    read && {
      urls: read.urls,
      tries: read.tries,
      windowMs: read.window,
      minSources: read.min_sources,
      applyMs: read.apply,
      proxies: read.proxies,
      origins: read.origins,
    }
  );
});

/** Looks up its regions, and reports unknown ones. */
export function beaconSettings(
  written: WrittenBeacon,
  regions: ReadonlyMap<string, RegionSpec>,
  report: Report,
): BeaconSettings {
  for (const { region } of written.urls) {
    if (regions.has(region.text)) continue;
    const hint = nearestHint(region.text, regions.keys());
    report.error('PH088', `unknown region "${region.text}" in pharos.yaml`, nodePlace(region), hint);
  }
  return { ...written, urls: new Map(written.urls.map(({ region, url: address }) => [region.text, address])) };
}

function isOrigin(text: string): boolean {
  return isHttpUrl(text) && new URL(text).origin === text;
}
