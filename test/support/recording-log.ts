/** A log that remembers its lines, for tests. */
import type { Log, LogFields } from '../../src/ports/log.ts';

export class RecordingLog implements Log {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];

  debug = (message: string, fields: LogFields = {}): void => { this.lines.push({ level: 'debug', message, fields }); };
  info = (message: string, fields: LogFields = {}): void => { this.lines.push({ level: 'info', message, fields }); };
  warn = (message: string, fields: LogFields = {}): void => { this.lines.push({ level: 'warn', message, fields }); };
  error = (message: string, fields: LogFields = {}): void => { this.lines.push({ level: 'error', message, fields }); };
  child = (): Log => this;
}
