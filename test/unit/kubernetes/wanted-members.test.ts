import { expect, test } from '@jest/globals';
import { Installation } from '../../../src/kubernetes/installation.ts';
import type { ClusterInfo, DesiredNodes } from '../../../src/ports/cluster-info.ts';
import { Simulation } from '../../../src/sim/simulation.ts';
import { RecordingLog } from '../../support/recording-log.ts';

const THREE: DesiredNodes = { kind: 'known', uid: 'u', replicas: 3, firstOrdinal: 0, isDeleting: false };

test('how many members are wanted is what the last read told, and unknown when it told nothing', async () => {
  const sim = new Simulation({ seed: 1, durationMsMax: 600_000, eventsMax: 10_000, linesMax: 10 });
  let desired: DesiredNodes = THREE;
  const info: ClusterInfo = {
    desired: () => Promise.resolve(desired),
    record: () => Promise.resolve({ kind: 'unknown', detail: 'not asked for' }),
    fill: () => Promise.resolve({ kind: 'unknown', detail: 'not asked for' }),
  };
  const installation = new Installation(
    { info, clock: sim.clock, random: sim.random, log: new RecordingLog() },
    { podName: 'dht-0', statefulSet: 'dht', leavePolicy: 'auto', reapAfterMs: 600_000 },
  );
  const { violations } = await sim.run(async () => {
    expect(installation.wantedMembers).toBeNull();
    await installation.founderCount();
    expect(installation.wantedMembers).toBe(3);
    installation.watchOrphans(() => [], () => undefined);
    for (const [next, wanted] of [[{ ...THREE, replicas: 5 }, 5], [{ kind: 'unknown', detail: 'no answer' }, null], [THREE, 3], [{ kind: 'gone' }, null]] as const) {
      desired = next;
      await sim.clock.sleep(60_000);
      expect([next.kind, installation.wantedMembers]).toEqual([next.kind, wanted]);
    }
    installation.stop();
  });
  expect(violations).toEqual([]);
});
