/** The node's disk in words that a person understands: how full, what it still takes, and what to do. */
import type { SpaceLevel } from '../domain/space-level.ts';
import type { SpaceView } from '../storage/space-guard.ts';
import type { StorageView } from './node-service.ts';

const STATES: Readonly<Record<SpaceLevel, string>> = {
  ample: '',
  low: 'The volume gets full: enlarge it or add a node.',
  full: 'The volume is nearly full: clients\' files are refused (507) where too many replicas are; reads and deletes go on. Enlarge it, add a node, or delete files.',
  'read-only': 'The volume is full: no file is taken; reads and deletes go on. Enlarge it, add a node, or delete files; this node goes on by itself.',
};
const SLOW = 'The disk takes more than a second for a write: other nodes are read from first; look at the volume.';
const STALLED = 'The volume has no room even for the log: nothing is stored, reads go on. Enlarge it or remove what else is on it; this node goes on by itself.';

export function storageView({ totalBytes, freeBytes, level, isStalled, ballastBytes }: SpaceView, isSlow: boolean, scrub: StorageView['scrub']): StorageView {
  const problems = [
    ...(isStalled ? [STALLED] : level === 'ample' ? [] : [STATES[level]]),
    ...(isSlow ? [SLOW] : []),
    ...(scrub.unhealed > 0 ? [`${scrub.unhealed} objects have rotten bytes here and are brought back from other replicas: look at the volume.`] : []),
  ];
  return { totalBytes, freeBytes, ballastBytes, level, isReadOnly: level === 'read-only', isSlow, scrub, detail: problems.length === 0 ? 'ok' : problems.join(' ') };
}
