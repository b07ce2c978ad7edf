import type { Reporter, TestModule } from 'vitest/node';

interface FileTimes {
  readonly file: string;
  readonly tests: number;
  readonly hooks: number;
  readonly modules: number;
}

/**
 * Ends a run with where its time went, a file a line, the dearest first, in seconds: in tests, in
 * hooks, and in loading modules. `npm test -- --reporter ./tests/support/file-times.ts`
 */
export default class FileTimesTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = modules.map(timesOf).sort((a, b) => total(b) - total(a));
    const sum: FileTimes = {
      file: `${rows.length} files`,
      tests: rows.reduce((seconds, row) => seconds + row.tests, 0),
      hooks: rows.reduce((seconds, row) => seconds + row.hooks, 0),
      modules: rows.reduce((seconds, row) => seconds + row.modules, 0),
    };
    process.stdout.write(`\n   tests   hooks modules\n${[...rows, sum].map(line).join('')}`);
  }
}

function timesOf(module: TestModule): FileTimes {
  const diagnostic = module.diagnostic();
  const testsMs = [...module.children.allTests()].reduce(
    (ms, test) => ms + (test.diagnostic()?.duration ?? 0),
    0,
  );
  return {
    file: module.relativeModuleId,
    tests: testsMs / 1_000,
    hooks: Math.max(0, diagnostic.duration - testsMs) / 1_000,
    modules: (diagnostic.collectDuration + diagnostic.setupDuration + diagnostic.prepareDuration) / 1_000,
  };
}

function total(row: FileTimes): number {
  return row.tests + row.hooks + row.modules;
}

function line({ file, tests, hooks, modules }: FileTimes): string {
  return `${[tests, hooks, modules].map((seconds) => seconds.toFixed(1).padStart(8)).join('')}  ${file}\n`;
}
