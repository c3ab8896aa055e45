/**
 * A node's log, written into the transcript. Debug lines are left out: they may cost a node as little as nothing.
 */
import type { Log, LogFields } from '../ports/log.ts';

export type LogSink = (level: 'info' | 'warn' | 'error', text: string) => void;

export class SimLog implements Log {
  readonly #sink: LogSink;
  readonly #fields: LogFields;

  constructor(sink: LogSink, fields: LogFields) {
    this.#sink = sink;
    this.#fields = fields;
  }

  debug(): void {}

  info(message: string, fields: LogFields = {}): void {
    this.#sink('info', this.#text(message, fields));
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#sink('warn', this.#text(message, fields));
  }

  error(message: string, fields: LogFields = {}): void {
    this.#sink('error', this.#text(message, fields));
  }

  child(fields: LogFields): Log {
    return new SimLog(this.#sink, { ...this.#fields, ...fields });
  }

  #text(message: string, fields: LogFields): string {
    const all = Object.entries({ ...this.#fields, ...fields });
    if (all.length === 0) return message;
    return `${message} (${all.map(([name, value]) => `${name}=${String(value)}`).join(', ')})`;
  }
}
