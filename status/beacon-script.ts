/**
 * beacon.js: web pages load it so that browsers measure the regions and report (docs/latency.md#measured-by-browsers).
 */
import type { BeaconSettings } from '../config/settings.ts';

/** A region that does not respond in this time is not measured. */
const TIMEOUT_MS = 5000;
/** A browser measures again after this time. More often would be useless: an address has one sample per window. */
const EVERY_MS = 3_600_000;

/** The script with its configuration. */
export function beaconScript({ urls, tries }: BeaconSettings): string {
  const config = JSON.stringify({ urls: Object.fromEntries(urls), tries, timeoutMs: TIMEOUT_MS, everyMs: EVERY_MS });
  return `(${SCRIPT})(${config}, document.currentScript);\n`;
}

/**
 * Plain JavaScript for recent browsers. The time of a try is the time from the request to the first octet if the region
 * permits reading it (Timing-Allow-Origin), otherwise the time of the whole fetch. The first try opens the connection
 * and does not count. The minimum of the others is the latency of the region, because delays only ever add to the round
 * trip.
 */
const SCRIPT = `async (config, script) => {
  'use strict';
  const STAMP = 'pharos-beacon';
  const always = script.hasAttribute('data-always');
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const measuredLately = () => {
    try {
      const age = Date.now() - Number(localStorage.getItem(STAMP));
      return age >= 0 && age < config.everyMs;
    } catch {
      return false;
    }
  };
  if (!always && (measuredLately() || navigator.connection?.saveData)) return;
  if (document.readyState !== 'complete') await new Promise((resolve) => addEventListener('load', resolve));
  await new Promise((resolve) => (self.requestIdleCallback ?? setTimeout)(resolve));

  const firstOctet = new Map();
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.requestStart > 0) firstOctet.set(entry.name, entry.responseStart - entry.requestStart);
    }
  });
  observer.observe({ type: 'resource' });
  const seen = {};
  let number = 0;
  for (let round = 0; round <= config.tries; round++) {
    for (const region of Object.keys(config.urls)) {
      if (round > 0 && !seen[region]) continue;
      const url = new URL(config.urls[region], script.src);
      url.searchParams.set('pharos', Date.now().toString(36) + '-' + number++);
      const begin = performance.now();
      try {
        await fetch(url.href, {
          mode: 'no-cors',
          cache: 'no-store',
          credentials: 'omit',
          referrerPolicy: 'no-referrer',
          signal: AbortSignal.timeout(config.timeoutMs),
        });
        (seen[region] ??= []).push({ url: url.href, ms: performance.now() - begin });
      } catch {
        if (round === 0) seen[region] = undefined;
      }
    }
  }
  await wait(100);
  observer.disconnect();
  const samples = {};
  for (const region of Object.keys(config.urls)) {
    const times = (seen[region] ?? []).slice(1).map((one) => firstOctet.get(one.url) ?? one.ms);
    if (times.length > 0) samples[region] = Math.round(Math.min(...times) * 100) / 100;
  }
  let outcome = null;
  if (Object.keys(samples).length > 0) {
    try {
      const reply = await fetch(new URL('api/v1/beacon', script.src), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ samples }),
        credentials: 'omit',
        keepalive: true,
      });
      outcome = await reply.json();
      if (reply.ok) localStorage.setItem(STAMP, String(Date.now()));
    } catch {
      // A failed report must not disturb the page.
    }
  }
  dispatchEvent(new CustomEvent('pharos-beacon', { detail: { samples, outcome } }));
}`;
