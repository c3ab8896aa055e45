/**
 * What will happen, in order: a binary heap by (time, sequence number), so that two events of one instant run in the
 * order in which they were scheduled and a run never depends on how a heap breaks ties.
 *
 * A cancelled event stays in the heap, empty, until its time comes: cancelling costs nothing, and time-outs that are
 * nearly always cancelled are what most timers of a node are.
 * Cost: O(log n) a push and a pop. Source: [VOPR] "one seed replays the whole cluster".
 */
export interface QueuedEvent {
  readonly atMs: number;
  readonly sequence: number;
  /** Null: cancelled, or it ran already. */
  run: (() => void) | null;
}

const isBefore = (a: QueuedEvent, b: QueuedEvent): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);

export class EventQueue {
  readonly #heap: QueuedEvent[] = [];
  #nextSequence = 0;

  push(atMs: number, run: () => void): QueuedEvent {
    const event: QueuedEvent = { atMs, sequence: this.#nextSequence++, run };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as QueuedEvent;
      if (!isBefore(event, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = event;
    return event;
  }

  /** Takes the next event that was not cancelled; null when nothing will ever happen again. */
  pop(): QueuedEvent | null {
    for (;;) {
      const next = this.#popAny();
      if (next === null || next.run !== null) return next;
    }
  }

  #popAny(): QueuedEvent | null {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return null;
    const last = heap.pop() as QueuedEvent;
    const length = heap.length;
    if (length === 0) return first;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= length) break;
      let child = heap[childAt] as QueuedEvent;
      const right = heap[childAt + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        childAt++;
      }
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
    return first;
  }
}
