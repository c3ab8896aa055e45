/**
 * The faults there are, as values: a plan of them can be printed, shortened and replayed. A victim is a number that is
 * taken modulo the nodes there are when its time comes, so that a fault means something in any ring.
 *
 * Not a fault: reordered or lost messages as such. Bytes go through a simulated TCP, where loss is delay; requests are
 * lost when connections break, and `repeat` says them again.
 * Source: protocol section H.2 "Faults".
 */

/** What happens to the files of large bodies, and to the files of the log. */
export type FileOperation = 'open' | 'write' | 'sync' | 'rename' | 'sync-directory' | 'remove';

/** Kinds of files in a node's directory. */
export type FileArea = 'log' | 'staging' | 'bodies' | 'any';

export type Fault =
  /** Power fails at one node; it comes back after a while. */
  | { readonly kind: 'crash'; readonly victim: number; readonly downMs: number }
  /** Only the process dies, as by SIGKILL: what it wrote and didn't sync is still read after its restart. */
  | { readonly kind: 'kill'; readonly victim: number; readonly downMs: number }
  /** Power fails right after the disk did something to a file of a large body: the moments between file and record. */
  | { readonly kind: 'body-crash'; readonly victim: number; readonly operation: FileOperation; readonly downMs: number }
  /** The same for a file of the log: batches half written, segments without a name. */
  | { readonly kind: 'log-crash'; readonly victim: number; readonly operation: FileOperation; readonly downMs: number }
  /** The process dies there, and the power fails a moment after its restart: was what it found again made durable? */
  | { readonly kind: 'log-kill'; readonly victim: number; readonly operation: FileOperation; readonly upMs: number; readonly downMs: number }
  /** Power fails everywhere. */
  | { readonly kind: 'crash-all'; readonly downMs: number }
  /** One node loses its disk and comes back empty. Waits until earlier losses are repaired. */
  | { readonly kind: 'wipe'; readonly victim: number; readonly downMs: number }
  /** The same while arcs are moving. */
  | { readonly kind: 'wipe-moving'; readonly victim: number; readonly downMs: number }
  /** One node with its disk is gone for good: the ring has to take it out by itself. Waits like a wipe. */
  | { readonly kind: 'loss'; readonly victim: number }
  /** Power fails at one node for so long that it may be taken out; then it comes back with its disk. */
  | { readonly kind: 'absence'; readonly victim: number; readonly downMs: number }
  /** One node's disk is set back to what it was `ageMs` ago. */
  | { readonly kind: 'old-snapshot'; readonly victim: number; readonly ageMs: number; readonly downMs: number }
  | { readonly kind: 'join' }
  | { readonly kind: 'leave'; readonly victim: number }
  /** Nodes are on two sides; `sides` has a bit for each. */
  | { readonly kind: 'partition'; readonly sides: number; readonly durationMs: number }
  /** Some pairs of nodes don't hear each other, while others hear both; `links` has a bit for each pair. */
  | { readonly kind: 'partial-partition'; readonly links: number; readonly durationMs: number }
  | { readonly kind: 'one-way-cut'; readonly from: number; readonly to: number; readonly durationMs: number }
  /** All connections of one node break. */
  | { readonly kind: 'reset'; readonly victim: number }
  /** What the victim was last sent on each of its connections is sent to it again, much later. */
  | { readonly kind: 'repeat'; readonly victim: number; readonly lateMs: number }
  | { readonly kind: 'delay-spike'; readonly delayMs: number; readonly durationMs: number }
  /** A wall clock is wrong from now on. */
  | { readonly kind: 'clock-skew'; readonly victim: number; readonly skewMs: number }
  /** A wall clock jumps, and later back. */
  | { readonly kind: 'clock-jump'; readonly victim: number; readonly jumpMs: number; readonly durationMs: number }
  | { readonly kind: 'slow-disk'; readonly victim: number; readonly syncMs: number; readonly durationMs: number }
  /** A sync fails: the process ends by itself. */
  | { readonly kind: 'disk-error'; readonly victim: number; readonly area: FileArea; readonly skip: number }
  /** Reading a file fails once. */
  | { readonly kind: 'read-error'; readonly victim: number; readonly area: FileArea; readonly skip: number }
  /** Writing the file of a large body fails: that replica has to do without. */
  | { readonly kind: 'staging-error'; readonly victim: number; readonly operation: 'open' | 'write'; readonly code: 'EIO' | 'ENOSPC'; readonly skip: number }
  /** There is no space for one operation, whatever it is. */
  | { readonly kind: 'no-space'; readonly victim: number; readonly operation: FileOperation; readonly area: FileArea; readonly skip: number }
  /** The disk has so many bytes left, for a while. */
  | { readonly kind: 'disk-full'; readonly victim: number; readonly freeBytes: number; readonly durationMs: number }
  /** A bit of a large body's file changes on the medium. Waits until earlier losses are repaired. */
  | { readonly kind: 'body-rot'; readonly victim: number; readonly place: number }
  /** A bit of a log segment changes on the medium, where peers have long heard of. Waits until earlier losses are repaired. */
  | { readonly kind: 'log-rot'; readonly victim: number; readonly place: number }
  /** The process stands still: a stopped container, a long collection. */
  | { readonly kind: 'pause'; readonly victim: number; readonly durationMs: number };

export type FaultKind = Fault['kind'];

export const FAULT_KINDS: readonly FaultKind[] = [
  'crash', 'kill', 'body-crash', 'log-crash', 'log-kill', 'crash-all', 'wipe', 'wipe-moving', 'old-snapshot', 'join', 'leave', 'partition',
  'partial-partition', 'one-way-cut', 'reset', 'repeat', 'delay-spike', 'clock-skew', 'clock-jump', 'slow-disk', 'disk-error', 'read-error',
  'staging-error', 'no-space', 'disk-full', 'body-rot', 'pause', 'loss', 'absence', 'log-rot',
];

export type FaultOf<K extends FaultKind> = Extract<Fault, { readonly kind: K }>;

export function faultText(fault: Fault): string {
  const { kind, ...fields } = fault;
  return [kind, ...Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`)].join(' ');
}
