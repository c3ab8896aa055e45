/** What the durability canary sees: the one client that remembers everything it was promised. */
import type { Row } from './dashboard.ts';
import { NONE_IS_GOOD, lines, stat, type PanelSource } from './panels.ts';
import { ofCanary, query } from './queries.ts';

const FAILED = 'result=~"unavailable|unknown|error"';
const operations = (matchers = ''): string => `sum by (job) (rate(${ofCanary('dht_canary_operations_total', matchers)}[$__rate_interval]))`;

/** Something that must never have happened. */
const never = (title: string, series: string, description: string): PanelSource => stat({
  title, description, unit: 'short', steps: NONE_IS_GOOD('red'),
  queries: [query(`sum by (job) (increase(${ofCanary(series)}[$__range]))`, '{{job}}')],
});

export function canaryRow(): Row {
  return {
    title: 'Durability, as the canary sees it',
    panels: [
      never('Lost objects', 'dht_canary_lost_objects_total', 'Objects that were acknowledged and are gone, in the shown time. Must be 0: change nothing, keep every volume as it is, and report it with the logs of the nodes and of the canary, which name the objects.'),
      never('Stale reads', 'dht_canary_stale_reads_total', 'Answers older than what had been acknowledged, in the shown time. Must be 0: report it with the logs of the nodes and of the canary.'),
      never('Corrupt objects', 'dht_canary_corrupt_objects_total', 'Objects read with other bytes than were stored, in the shown time. Must be 0: something between the canary and the disks changes bytes. Report it; compare with rotten bytes in dht / Node.'),
      never('Resurrected objects', 'dht_canary_resurrected_objects_total', 'Objects that came back after an acknowledged delete, in the shown time. Must be 0, unless a volume was restored from a snapshot.'),
      stat({
        title: 'Objects watched', unit: 'short',
        description: 'Objects of the canary that should exist now. 0 or no data: the canary does not run (canary.enabled) or cannot write, see its log.',
        queries: [query(`sum by (job) (${ofCanary('dht_canary_objects')})`, '{{job}}')],
      }),
      stat({
        title: 'Oldest verification', unit: 's', steps: [[null, 'green'], [3600, 'orange']],
        description: 'How long ago the object was read and checked that has waited longest. Within an hour; longer: the canary has more objects than turns, or the ring does not answer.',
        queries: [query(`max by (job) (time() - ${ofCanary('dht_canary_oldest_verified_timestamp_seconds')})`, '{{job}}')],
      }),
      lines({
        title: 'Availability, as the canary sees it', unit: 'percentunit', decimals: 2, top: 1,
        description: 'Share of its requests that got an answer it can use. It has one client\'s view, through the same Service as all others; below 1 while a node dies is usual for a second or two.',
        queries: [query(`1 - ${operations(FAILED)} / (${operations()} > 0)`, '{{job}}')],
      }),
      lines({
        title: 'Duration of its requests, 99th percentile', unit: 's', limit: 1,
        description: 'By operation, failed ones included. Small objects only: when it is slow the ring is, whatever others ask for.',
        queries: [query(`histogram_quantile(0.99, sum by (le, op) (rate(${ofCanary('dht_canary_operation_duration_seconds_bucket')}[$__rate_interval])))`, '{{op}}')],
      }),
      lines({
        title: 'Its requests by result', unit: 'ops',
        description: 'unavailable: nothing was done. unknown: a write that may have been applied; the canary expects either from then on. conflict: its condition did not hold, as after an unknown one.',
        queries: [query(`sum by (op, result) (rate(${ofCanary('dht_canary_operations_total')}[$__rate_interval]))`, '{{op}} {{result}}')],
      }),
    ],
  };
}
