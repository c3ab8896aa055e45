/**
 * The last events of the ring, and who wants to hear of further ones. Ids are the process's boot and a count, so a listener
 * that comes back tells where it was, and after a restart of the node gets all there is.
 *
 * Bound: EVENTS_MAX events; listeners are bounded by who adds them. A listener is called in the step that adds the event
 * and must not throw.
 */
import type { RingEvent, RingEventSource } from './node-service.ts';
import type { RingChange } from './ring-events.ts';

/** Events of some hours, and of a storm its end. */
const EVENTS_MAX = 256;

export class EventLog implements RingEventSource {
  readonly #boot: number;
  readonly #events: RingEvent[] = [];
  readonly #listeners = new Set<(event: RingEvent) => void>();
  #count = 0;

  constructor(boot: number) {
    this.#boot = boot;
  }

  add(change: RingChange, atMs: number): void {
    this.#count += 1;
    const event: RingEvent = { id: `${this.#boot}-${this.#count}`, at: new Date(atMs).toISOString(), ...change };
    this.#events.push(event);
    if (this.#events.length > EVENTS_MAX) this.#events.shift();
    for (const listener of [...this.#listeners]) listener(event);
  }

  after(lastId: string | null): readonly RingEvent[] {
    return this.#events.slice(this.#events.findIndex(({ id }) => id === lastId) + 1);
  }

  subscribe(listener: (event: RingEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }
}
