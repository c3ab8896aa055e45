/** What whole nodes count of failure detection, gossip and their ring, while it happens to them. */
import { describe, expect, test } from '@jest/globals';
import type { Labels } from '../../src/ports/meter.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { METERED_NAMES, MeteredRing } from '../support/metered-ring.ts';

/** Milliseconds in which a failure is found, and those in which a suspect is declared down. */
const FOUND_MS = 4_000;
const DOWN_MS = 12_000;
const DETECTOR = 'dht_failure_detector';

describe('a ring at rest', () => {
  test('counts answered probes and the traffic of membership, and suspects nobody', async () => {
    const ring = new MeteredRing();
    await ring.run(async ([a]) => {
      const value = (name: string, labels: Labels = {}): number => ring.value(a, name, labels);
      const before = { acks: value(`${DETECTOR}_probes_total`, { kind: 'direct', result: 'ack' }), bytes: value('dht_gossip_bytes_total', { direction: 'in' }) };
      await ring.scenario.sleep(5_000);
      const acks = value(`${DETECTOR}_probes_total`, { kind: 'direct', result: 'ack' });
      // Two others, each pinged every half second.
      expect(acks - before.acks).toBeGreaterThanOrEqual(18);
      expect(acks - before.acks).toBeLessThanOrEqual(22);
      expect(value(`${DETECTOR}_probe_duration_seconds`, { kind: 'direct' })).toBe(acks);
      for (const direction of ['in', 'out']) {
        for (const type of ['ping', 'ping-reply']) expect(value('dht_gossip_messages_total', { direction, type })).toBeGreaterThanOrEqual(acks - 2);
        expect(value('dht_gossip_messages_total', { direction, type: 'prepare' })).toBe(0);
      }
      expect(value('dht_gossip_bytes_total', { direction: 'in' }) - before.bytes).toBeGreaterThan(20 * 100);
      for (const name of ['suspicions_total', 'refutations_total', 'down_total', 'detection_duration_seconds', 'local_health_score']) expect([name, value(`${DETECTOR}_${name}`)]).toEqual([name, 0]);
      expect(value('dht_gossip_queue_messages')).toBe(0);
    });
  });

  test('agrees on the checksum of its layout, which changes with it', async () => {
    const ring = new MeteredRing();
    await ring.run(async (nodes) => {
      const checksums = (): readonly number[] => nodes.map((node) => ring.value(node, 'dht_ring_checksum'));
      const [first = 0, ...others] = checksums();
      expect(first).toBeGreaterThan(0);
      expect(others).toEqual([first, first]);
      expect(ring.value(nodes[0], 'dht_ring_tokens')).toBe(1);
      expect(ring.value(nodes[0], 'dht_ring_expected_members')).toBe(0);
      const changedAt = ring.value(nodes[0], 'dht_ring_last_change_timestamp_seconds');
      await ring.scenario.sleep(5_000);
      expect(ring.value(nodes[0], 'dht_ring_last_change_timestamp_seconds')).toBe(changedAt);
      ring.scenario.add('d:1', METERED_NAMES, 1);
      await ring.scenario.rest();
      const [second, ...rest] = checksums();
      expect(second).not.toBe(first);
      expect(rest).toEqual([second, second]);
      expect(ring.value(nodes[0], 'dht_ring_last_change_timestamp_seconds')).toBeGreaterThan(changedAt + 5);
    });
  });

  test('knows how each node came into it', async () => {
    const ring = new MeteredRing();
    await ring.run(async ([a]) => {
      const attempts = (node: SimNode): readonly number[] => ['ok', 'no_ring', 'rejected', 'unreachable'].map((result) => ring.value(node, 'dht_ring_join_attempts_total', { result }));
      expect(attempts(a)[0]).toBe(1);
      expect(attempts(a)[1]).toBeGreaterThan(0);
      expect(ring.value(a, 'dht_ring_join_duration_seconds')).toBe(1);
      const d = ring.scenario.add('d:1', ['nobody:1', 'a:1'], 1);
      await ring.scenario.rest();
      expect(attempts(d).slice(0, 3)).toEqual([1, 0, 0]);
      expect(attempts(d)[3]).toBeGreaterThan(0);
      expect(ring.value(d, 'dht_ring_join_duration_seconds')).toBe(1);
      await ring.scenario.sleep(3_000);
      expect(ring.value(d, 'dht_ring_join_duration_seconds')).toBe(1);
    });
  });
});

describe('a member that dies', () => {
  test('is detected, suspected and down, and its new process refutes nothing', async () => {
    const ring = new MeteredRing();
    await ring.run(async ([a, b, c]) => {
      // A member that never gave a sign of life has no time to be measured from.
      await ring.scenario.sleep(1_000);
      c.crash();
      await ring.scenario.sleep(FOUND_MS);
      for (const node of [a, b]) {
        expect(ring.value(node, `${DETECTOR}_detection_duration_seconds`)).toBe(1);
        expect(ring.value(node, `${DETECTOR}_suspicions_total`)).toBe(1);
        expect(ring.value(node, 'dht_peer_suspicion_level', { peer: ring.nodeId(node === a ? b : a) })).toBe(0);
      }
      const unanswered = ['timeout', 'error'].map((result) => ring.value(a, `${DETECTOR}_probes_total`, { kind: 'direct', result }));
      expect(unanswered.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(3);
      expect(ring.value(a, `${DETECTOR}_probes_total`, { kind: 'indirect', result: 'timeout' }) + ring.value(b, `${DETECTOR}_probes_total`, { kind: 'indirect', result: 'timeout' })).toBeGreaterThan(0);
      await ring.scenario.sleep(DOWN_MS);
      for (const node of [a, b]) expect(ring.value(node, `${DETECTOR}_down_total`)).toBe(1);
      c.start();
      await ring.scenario.rest();
      await ring.scenario.sleep(1_000);
      for (const node of [a, b]) {
        expect(ring.value(node, `${DETECTOR}_refutations_total`)).toBe(0);
        expect(ring.value(node, 'dht_peer_suspicion_level', { peer: ring.nodeId(c) })).toBe(0);
      }
    });
  });

  test('is seen by each other member: suspicion grows, the last contact stands still', async () => {
    const ring = new MeteredRing();
    await ring.run(async ([a, b, c]) => {
      const peer = ring.nodeId(c);
      const contact = (): number => ring.value(a, 'dht_peer_last_contact_timestamp_seconds', { peer });
      const early = contact();
      await ring.scenario.sleep(2_000);
      expect(contact()).toBeGreaterThan(early + 1);
      c.crash();
      await ring.scenario.sleep(FOUND_MS);
      const last = contact();
      expect(ring.value(a, 'dht_peer_suspicion_level', { peer })).toBe(1);
      await ring.scenario.sleep(DOWN_MS);
      expect(contact()).toBe(last);
      expect(ring.value(a, 'dht_peer_suspicion_level', { peer })).toBe(2);
      expect(ring.value(b, 'dht_peer_suspicion_level', { peer: ring.nodeId(a) })).toBe(0);
    });
  });
});

test('a member that stops as for a restart is not a failure', async () => {
  const ring = new MeteredRing();
  await ring.run(async ([a, b, c]) => {
    await ring.scenario.sleep(1_000);
    await c.stop();
    await ring.scenario.sleep(FOUND_MS);
    for (const node of [a, b]) {
      expect(ring.value(node, `${DETECTOR}_detection_duration_seconds`)).toBe(0);
      expect(ring.value(node, `${DETECTOR}_suspicions_total`)).toBe(0);
    }
  });
});

test.each([['suspected', FOUND_MS], ['down', DOWN_MS]])('a member that was cut off until it was %s refutes that once, also for whom it stays cut off from', async (_state, cutMs) => {
  const ring = new MeteredRing();
  await ring.run(async ([a, b, c]) => {
    await ring.scenario.sleep(1_000);
    ring.scenario.separate(a, c);
    ring.scenario.separate(b, c);
    await ring.scenario.sleep(cutMs);
    ring.scenario.unite(b, c);
    await ring.scenario.sleep(FOUND_MS);
    // It is avoided by the one that doesn't reach it, and accused no more: others do.
    expect(ring.value(a, 'dht_peer_suspicion_level', { peer: ring.nodeId(c) })).toBe(1);
    for (const node of [a, b]) {
      // Of it, and of each other, for it says that nobody else answers.
      for (const name of ['suspicions_total', 'refutations_total']) expect([node.name, name, ring.value(node, `${DETECTOR}_${name}`) <= 2]).toEqual([node.name, name, true]);
      expect(ring.value(node, `${DETECTOR}_refutations_total`)).toBeGreaterThanOrEqual(1);
    }
  });
});

test('a node that stood still trusts its own measurements less', async () => {
  const ring = new MeteredRing();
  await ring.run(async ([a]) => {
    a.pause();
    await ring.scenario.sleep(1_500);
    a.resume();
    await ring.scenario.sleep(100);
    expect(ring.value(a, `${DETECTOR}_local_health_score`)).toBeGreaterThan(0);
    await ring.scenario.sleep(20_000);
    expect(ring.value(a, `${DETECTOR}_local_health_score`)).toBe(0);
  });
});
