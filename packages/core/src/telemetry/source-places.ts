/**
 * Stacks that name places in the sources, for a program that was built. The build imports this
 * before everything else, and nothing else does.
 *
 * Node's own `--enable-source-maps` reads each map with its file, which costs the jobs API 40 MB
 * and half a second of its start. Here a map is read when a stack is asked for that leads through
 * its file.
 */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Where a frame is, in a file that has a map beside it. */
const PLACE = /(file:\/\/[^\s()]+\.js):(\d+):(\d+)/;

const maps = new Map<string, SourceMap | null>();

function mapOf(url: string): SourceMap | null {
  const known = maps.get(url);
  if (known !== undefined) return known;
  let map: SourceMap | null = null;
  try {
    map = new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, 'utf8')));
  } catch {
    // Whoever asked has an error in hand already: its place in what was built is better than another error.
  }
  maps.set(url, map);
  return map;
}

/** A frame with its place in the sources; as it was where there is none. */
export const inSources = (frame: string): string =>
  frame.replace(PLACE, (place, url: string, line: string, column: string) => {
    const origin = mapOf(url)?.findOrigin(Number(line), Number(column));
    if (origin === undefined || !('fileName' in origin)) return place;
    return `${origin.fileName}:${origin.lineNumber}:${origin.columnNumber}`;
  });

function headOf(error: unknown): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    // Its name or its message throws.
    return 'Error';
  }
}

Error.prepareStackTrace = (error, frames) =>
  [headOf(error), ...frames.map((frame) => `    at ${inSources(String(frame))}`)].join('\n');
