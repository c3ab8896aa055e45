/**
 * `npm run metrics:docs` writes docs/metrics.md: every metric of a started node and of the canary, with what it says of
 * itself. The page is committed; a test holds it against a node that runs.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Family } from './exposition.ts';
import { familiesOf, ScrapedRing } from './offered-metrics.ts';

export const REFERENCE = path.resolve(import.meta.dirname, '../../docs/metrics.md');

/** By the beginning of the name; the first that fits. */
const AREAS: readonly (readonly [prefix: string, title: string])[] = [
  ['dht_gateway_', 'Gateway: what clients ask'],
  ['dht_canary_', 'Durability canary (`dht canary`, a process of its own)'],
  ['dht_replication_', 'Replication'],
  ['dht_time_below_', 'Replication'],
  ['dht_hints_', 'Repair'],
  ['dht_read_repairs_', 'Repair'],
  ['dht_resync_', 'Repair'],
  ['dht_repair_', 'Repair'],
  ['dht_anti_entropy_', 'Repair'],
  ['dht_rebalance_', 'Moves: joins and leaves'],
  ['dht_ring_', 'Ring'],
  ['dht_node_', 'Node'],
  ['dht_build_info', 'Node'],
  ['dht_failure_detector_', 'Failure detection'],
  ['dht_gossip_', 'Gossip'],
  ['dht_peer_', 'Peers'],
  ['dht_storage_', 'Storage'],
  ['dht_kubernetes_', 'Kubernetes'],
];
const UNITS: readonly (readonly [suffix: RegExp, unit: string])[] = [
  [/_timestamp_seconds$/, 'Unix time, s'], [/_bytes_per_second$/, 'bytes/s'], [/_seconds(_total)?$/, 's'], [/_bytes(_total)?$/, 'bytes'], [/_ratio$/, '0 to 1'],
];

export function referenceOf(all: readonly Family[]): string {
  const families = all.filter(({ name }) => name.startsWith('dht_'));
  const titles = [...new Set(AREAS.map(([, title]) => title))];
  const sections = titles.map((title) => {
    const rows = families.filter(({ name }) => areaOf(name) === title).sort((a, b) => (a.name < b.name ? -1 : 1)).map(rowOf);
    return [`## ${title}`, '', '| metric | type | unit | labels | |', '|---|---|---|---|---|', ...rows, ''].join('\n');
  });
  return [
    '# Metrics', '',
    'Every metric of our own that a node offers on its admin port under `/metrics`, and those of the canary; beside them are the `process_` and `nodejs_` ones of prom-client. Made by `npm run metrics:docs` from a node that runs; do not edit. What needs more words is in',
    '[observability.md](observability.md), what to watch in [alerts.md](alerts.md). No label carries the name of an object, and every series of a counter or histogram is there with 0 from the start.', '',
    ...sections,
  ].join('\n');
}

function areaOf(name: string): string {
  const area = AREAS.find(([prefix]) => name.startsWith(prefix));
  if (area === undefined) throw new Error(`${name} belongs to no area of the reference: name one in metrics-reference.ts`);
  return area[1];
}

function rowOf({ name, type, help, labelNames }: Family): string {
  const unit = UNITS.find(([suffix]) => suffix.test(name))?.[1] ?? '';
  return `| \`${name}\` | ${type} | ${unit} | ${[...labelNames].sort().join(', ')} | ${help.replaceAll('|', '\\|').replaceAll('\\n', ' ')} |`;
}

if (process.argv[1] === import.meta.filename) {
  const ring = await ScrapedRing.start();
  try {
    await ring.grow();
    writeFileSync(REFERENCE, referenceOf(await familiesOf(await ring.scrape())));
  } finally {
    await ring.stop();
  }
}
