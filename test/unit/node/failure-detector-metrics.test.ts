import { expect, test } from '@jest/globals';
import type { MonotonicMs } from '../../../src/domain/instant.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import { PromMeter } from '../../../src/metrics/prom-meter.ts';
import { registerFailureDetectorMetrics, type SuspicionView } from '../../../src/node/failure-detector-metrics.ts';

const peer = (nodeId: string, level: number, heardAt: number | null): SuspicionView['suspicions'][number] => ({ nodeId: nodeId as NodeId, level, heardAt: heardAt as MonotonicMs | null });
const view = (...suspicions: SuspicionView['suspicions']): SuspicionView => ({ awareness: 2, newsWaiting: 5, suspicions, wallTimeOf: (at) => 1_000_000 + at });

/** What is shown after each of the views, in the order of the registry. */
async function shown(isPerPeer: boolean, views: readonly (SuspicionView | null)[]): Promise<readonly Readonly<Record<string, string>>[]> {
  let present: SuspicionView | null = null;
  const meter = new PromMeter({ version: '0', revision: '0', nodeVersion: '0' });
  registerFailureDetectorMetrics(meter, { isPerPeer }, () => present);
  const texts: Readonly<Record<string, string>>[] = [];
  for (present of views) texts.push(Object.fromEntries([...(await meter.text()).matchAll(/^(dht_\S+) (\S+)$/gm)].map(([, name, value]) => [name ?? '', value ?? ''])));
  return texts;
}

const peers = (values: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> => Object.fromEntries(Object.entries(values ?? {}).filter(([name]) => name.startsWith('dht_peer_')));

test('every counter and histogram is there from the start, at 0', async () => {
  const [values] = await shown(false, [null]);
  for (const kind of ['direct', 'indirect']) {
    for (const result of ['ack', 'timeout', 'error']) expect(values).toHaveProperty([`dht_failure_detector_probes_total{kind="${kind}",result="${result}"}`], '0');
    expect(values).toHaveProperty([`dht_failure_detector_probe_duration_seconds_count{kind="${kind}"}`], '0');
  }
  for (const name of ['suspicions_total', 'refutations_total', 'down_total', 'detection_duration_seconds_count']) expect(values).toHaveProperty([`dht_failure_detector_${name}`], '0');
});

test('gauges follow the view', async () => {
  const [values] = await shown(false, [view()]);
  expect(values).toMatchObject({ dht_failure_detector_local_health_score: '2', dht_gossip_queue_messages: '5' });
});

test('single members are shown only where that is wanted', async () => {
  const [values] = await shown(false, [view(peer('n1', 1, 500))]);
  expect(peers(values)).toEqual({});
});

test('a member is shown from its first sign of life on, and no more when it has left', async () => {
  const [before, both, after] = await shown(true, [view(peer('n1', 0, null)), view(peer('n1', 0.5, 500), peer('n2', 2, 250)), view(peer('n2', 2, 250))]);
  expect(peers(before)).toEqual({ 'dht_peer_suspicion_level{peer="n1"}': '0' });
  expect(peers(both)).toEqual({
    'dht_peer_suspicion_level{peer="n1"}': '0.5', 'dht_peer_last_contact_timestamp_seconds{peer="n1"}': '1000.5',
    'dht_peer_suspicion_level{peer="n2"}': '2', 'dht_peer_last_contact_timestamp_seconds{peer="n2"}': '1000.25',
  });
  expect(peers(after)).toEqual({ 'dht_peer_suspicion_level{peer="n2"}': '2', 'dht_peer_last_contact_timestamp_seconds{peer="n2"}': '1000.25' });
});
