/**
 * Figures of processes killed one after the other, as the other pods see it: how long until they count the member as
 * suspect and as down, what a client without patience is refused meanwhile, and how long it takes from the pod's return
 * until no object lacks a copy.
 */
import { until } from '../kube/kube-client.ts';
import type { ClusterRing } from './cluster-ring.ts';
import { detectionOf, type Detection } from './detection.ts';
import { Probe, quantile, type Availability } from './probe.ts';

const LACKING = 'dht_replication_under_replicated_objects';
/** Kubernetes waits longer before each restart of the same container. */
const BACK_MS_MAX = 300_000;
/** What is refused is counted over at least this long after a kill: one in a minute is more often than any ring is hit. */
const OBSERVED_MS = 60_000;
const AFTER_MS = 5_000;
const WHOLE_MS_MAX = 60_000;

export interface KillFigures {
  readonly victim: string;
  readonly detection: Detection;
  readonly availability: Availability;
  /** From the kill until the pod was ready again, and from then until nothing lacked a copy. */
  readonly backMs: number;
  readonly wholeMs: number;
  readonly underReplicatedMax: number;
}

/** Kills the process of a pod and waits until all is whole again. */
export async function killOne(ring: ClusterRing, ordinal: number, perSecond: number): Promise<KillFigures> {
  const detection = detectionOf(ring, ordinal, BACK_MS_MAX);
  const probe = await Probe.begin(ring.serviceUrl, perSecond);
  let isOver = false;
  let underReplicatedMax = 0;
  await pause(1_000);
  await ring.killContainer(ordinal);
  detection.begin();
  const killedAt = performance.now();
  const counts = (async () => {
    while (!isOver) {
      for (const node of ring.nodes) if (node.ordinal !== ordinal) underReplicatedMax = Math.max(underReplicatedMax, await node.metric(LACKING).catch(() => null) ?? 0);
      await pause(500);
    }
  })();
  const backMs = await ring.untilReady([ordinal], BACK_MS_MAX);
  const wholeMs = await until(async () => (await isComplete(ring)) && (await ring.lack()) === null, WHOLE_MS_MAX, 'no object lacks a copy');
  isOver = true;
  await counts;
  const found = await detection.end();
  await pause(Math.max(AFTER_MS, OBSERVED_MS - (performance.now() - killedAt)));
  return { victim: ring.podName(ordinal), detection: found, availability: await probe.end(), backMs, wholeMs, underReplicatedMax };
}

async function isComplete(ring: ClusterRing): Promise<boolean> {
  const lacking = await Promise.all(ring.nodes.map((node) => node.metric(LACKING)));
  return lacking.every((objects) => objects === 0);
}

export function killFiguresText(kills: readonly KillFigures[]): readonly string[] {
  const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
  const suspect = sorted(kills.flatMap(({ detection }) => detection.suspectMs));
  const down = sorted(kills.flatMap(({ detection }) => detection.downMs));
  const requests = kills.reduce((sum, { availability }) => sum + availability.requests, 0);
  const failed = kills.reduce((sum, { availability }) => sum + availability.failed, 0);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const worst = Math.max(0, ...kills.map(({ availability }) => 100 * availability.failed / availability.requests));
  return [
    `${kills.length} kills; counted as suspect after ${seconds(quantile(suspect, 0.5))} (median), ${seconds(quantile(suspect, 0.99))} (p99) of ${suspect.length}; as down after ${seconds(quantile(down, 0.5))}, ${seconds(quantile(down, 0.99))} of ${down.length}`,
    `${failed} of ${requests} requests not answered (${(100 * failed / requests).toFixed(2)} %; worst kill ${worst.toFixed(2)} %); longest gap ${seconds(Math.max(0, ...kills.map(({ availability }) => availability.longestGapMs)))}`,
    `back after ${seconds(quantile(sorted(kills.map(({ backMs }) => backMs)), 0.5))} (median), ${seconds(Math.max(0, ...kills.map(({ backMs }) => backMs)))} (longest); nothing lacks a copy ${seconds(quantile(sorted(kills.map(({ wholeMs }) => wholeMs)), 0.5))} (median), ${seconds(Math.max(0, ...kills.map(({ wholeMs }) => wholeMs)))} (longest) after that; most under-replicated objects ${Math.max(0, ...kills.map(({ underReplicatedMax }) => underReplicatedMax))}`,
  ];
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
