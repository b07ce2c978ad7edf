/**
 * The Dockerfile without Docker: its steps are carried out in temporary folders, one for each
 * stage, and what it starts is started, as a user who may write nothing.
 *
 * It knows the instructions that the file uses, and fails on any other, rather than leave a step
 * out. A step's program sees the machine and not the base image, so that no step may name a path
 * from the root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, constants, copyFile, cp, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { machineEnv } from '@revos/local-stack/env';
import {
  type Copy,
  DockerfileParser,
  type From,
  type Instruction,
  type JSONInstruction,
} from 'dockerfile-ast';

/** `nobody`: who the image's own user is here, where there is a choice. */
const NOBODY = 65_534;

/** How this machine reaches a registry of packages: a step that installs something needs it as well. */
const NETWORK = ['NODE_EXTRA_CA_CERTS', 'HTTPS_PROXY', 'NO_PROXY', 'npm_config_registry'] as const;

type Variables = Readonly<Record<string, string>>;

interface Stage {
  readonly name: string | null;
  /** Stands for `/`. */
  readonly root: string;
  workdir: string;
  user: string | null;
  args: Variables;
  env: Variables;
  labels: Variables;
  healthcheck: readonly string[];
  entrypoint: readonly string[];
  cmd: readonly string[];
}

export interface Image extends Readonly<Stage> {
  /** The files below the working folder, in order. */
  readonly files: readonly string[];
  /** Starts it as a container whose files are read-only. @param args instead of the image's own */
  start(env: Variables, args?: readonly string[]): ChildProcess;
  /** Carries out a command within it, and gives its exit code. */
  exec(command: readonly string[], env?: Variables): Promise<number | null>;
}

export interface BuildOptions {
  /** The repository: its Dockerfile, and what .dockerignore lets through of it. */
  readonly root: string;
  /** An empty folder for everything that is made. */
  readonly folder: string;
  /** `--build-arg` */
  readonly args?: Variables;
}

/**
 * What `.dockerignore` lets through. It must refuse everything, let through paths by name, and
 * refuse names again.
 */
export function readIgnore(text: string): { readonly paths: readonly string[]; readonly never: Set<string> } {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (lines[0] !== '*') throw new Error('.dockerignore must refuse everything first');
  const paths: string[] = [];
  const never = new Set<string>();
  for (const line of lines.slice(1)) {
    const [, allowed] = /^!([\w./-]+)$/.exec(line) ?? [];
    const [, refused] = /^\*\*\/([\w.-]+)$/.exec(line) ?? [];
    if (refused !== undefined) never.add(refused);
    else if (allowed !== undefined && never.size === 0) paths.push(allowed);
    else throw new Error(`.dockerignore has a line that is not known here: ${line}`);
  }
  return { paths, never };
}

/** Builds the image, and gives its last stage. */
export async function buildImage({ root, folder, args = {} }: BuildOptions): Promise<Image> {
  // Made for one user alone; the image's own must get to it.
  await chmod(folder, 0o755);
  const bin = path.join(folder, 'bin');
  await mkdir(bin);
  await copyFile(process.execPath, path.join(bin, 'node'), constants.COPYFILE_FICLONE);
  const context = path.join(folder, 'context');
  await copyContext(root, context);

  const stages: Stage[] = [];
  for (const instruction of DockerfileParser.parse(
    await readFile(path.join(root, 'Dockerfile'), 'utf8'),
  ).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      stages.push(await openStage(instruction as From, path.join(folder, `stage-${stages.length}`)));
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error('the Dockerfile does not begin with a stage');
      await carryOut(instruction, stage, { stages, context, bin, args });
    }
  }
  const last = stages.at(-1);
  if (last === undefined) throw new Error('the Dockerfile has no stage');
  return imageOf(last, bin);
}

async function copyContext(root: string, context: string): Promise<void> {
  const { paths, never } = readIgnore(await readFile(path.join(root, '.dockerignore'), 'utf8'));
  for (const file of paths) {
    await cp(path.join(root, file), path.join(context, file), {
      recursive: true,
      filter: (source) => !never.has(path.basename(source)),
    });
  }
}

async function openStage(from: From, root: string): Promise<Stage> {
  const base = `node:${process.versions.node}-bookworm-slim`;
  if (from.getImage() !== base) throw new Error(`a stage is from ${from.getImage()}, and not from ${base}`);
  await mkdir(root);
  const none = { args: {}, env: {}, labels: {}, healthcheck: [], entrypoint: [], cmd: [] };
  return { name: from.getBuildStage(), root, workdir: '/', user: null, ...none };
}

interface Building {
  readonly stages: readonly Stage[];
  readonly context: string;
  readonly bin: string;
  readonly args: Variables;
}

async function carryOut(instruction: Instruction, stage: Stage, building: Building): Promise<void> {
  const text = instruction.getArgumentsContent() ?? '';
  const known = { ...stage.args, ...stage.env };
  switch (instruction.getKeyword()) {
    case 'ARG': {
      const [name, value] = Object.entries(pairsOf(instruction, {}))[0] ?? [];
      if (name === undefined) throw new Error(`ARG ${text}`);
      stage.args = { ...stage.args, [name]: building.args[name] ?? value ?? '' };
      return;
    }
    case 'ENV':
      stage.env = { ...stage.env, ...pairsOf(instruction, known) };
      return;
    case 'LABEL':
      stage.labels = { ...stage.labels, ...pairsOf(instruction, known) };
      return;
    case 'WORKDIR':
      stage.workdir = path.posix.resolve(stage.workdir, text);
      await mkdir(within(stage, '.'), { recursive: true });
      return;
    case 'USER':
      stage.user = text;
      return;
    case 'EXPOSE':
      return;
    case 'COPY':
      return copy(instruction as Copy, stage, building);
    case 'RUN':
      return run(text, stage, building.bin);
    case 'HEALTHCHECK':
      stage.healthcheck = JSON.parse(/CMD\s+(\[.*\])$/s.exec(text)?.[1] ?? `no command: ${text}`);
      return;
    case 'ENTRYPOINT':
      stage.entrypoint = execForm(instruction as JSONInstruction);
      return;
    case 'CMD':
      stage.cmd = execForm(instruction as JSONInstruction);
      return;
    default:
      throw new Error(`an instruction that is not known here: ${instruction.getKeyword()}`);
  }
}

/** Where a path of a stage is. */
const within = ({ root, workdir }: Stage, file: string): string =>
  path.join(root, path.posix.resolve(workdir, file));

/** `name=value …`, with what is known put in. */
function pairsOf(instruction: Instruction, known: Variables): Variables {
  const properties = (instruction as Instruction & Partial<PropertyHolder>).getProperties?.() ?? [
    (instruction as Instruction & Partial<PropertyHolder>).getProperty?.(),
  ];
  return Object.fromEntries(
    properties.map((property) => {
      const value = property?.getValue() ?? '';
      const filled = value.replace(/\$\{(\w+)\}/g, (_, name: string) => {
        const found = known[name];
        if (found === undefined) throw new Error(`\${${name}} is not known`);
        return found;
      });
      return [property?.getName(), filled];
    }),
  );
}

interface PropertyNamed {
  getName(): string;
  getValue(): string | null;
}

interface PropertyHolder {
  getProperties(): PropertyNamed[];
  getProperty(): PropertyNamed | null;
}

/** Its words, in the form that no shell reads: a signal reaches the program itself. */
function execForm(instruction: JSONInstruction): string[] {
  if (instruction.getOpeningBracket() === null) throw new Error(`${instruction} goes through a shell`);
  return JSON.parse(instruction.getArgumentsContent() ?? '');
}

async function copy(instruction: Copy, stage: Stage, { stages, context }: Building): Promise<void> {
  const [unknown] = instruction.getFlags().filter((flag) => flag.getName() !== 'from');
  if (unknown) throw new Error(`COPY --${unknown.getName()} is not known here`);
  const from = instruction.getFromFlag()?.getValue() ?? null;
  const source = from === null ? undefined : stages.find(({ name }) => name === from);
  if (from !== null && source === undefined) throw new Error(`no stage is called ${from}`);
  const words = instruction.getArguments().map((word) => word.getValue());
  const target = words.at(-1) ?? '';
  for (const word of words.slice(0, -1)) {
    const file = source ? within(source, word) : path.join(context, word);
    const isFolder = (await stat(file)).isDirectory();
    // Of a folder the contents are copied, and a file into a folder.
    if (!isFolder && !/(?:^|\/)(?:\.?\/?)$/.test(target))
      throw new Error(`COPY to ${target} is not known here`);
    await cp(file, path.join(within(stage, target), isFolder ? '' : path.basename(word)), {
      recursive: true,
    });
  }
}

async function run(command: string, stage: Stage, bin: string): Promise<void> {
  if (/(?:^|[\s='"])\//.test(command))
    throw new Error(`a path from the root would be the machine's: ${command}`);
  const network = NETWORK.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  const env = {
    ...Object.fromEntries(network),
    HOME: machineEnv().HOME ?? '/',
    ...stage.args,
    ...environmentOf(stage, bin),
  };
  await promisify(execFile)('/bin/sh', ['-c', command], { cwd: within(stage, '.'), env, ...userOf(stage) });
}

const environmentOf = (stage: Stage, bin: string): Variables => ({
  ...stage.env,
  PATH: `${bin}${path.delimiter}${machineEnv().PATH ?? ''}`,
});

/** Its own user, for whoever may become another one. */
const userOf = ({ user }: Stage): { uid?: number; gid?: number } =>
  user !== null && process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

async function imageOf(stage: Stage, bin: string): Promise<Image> {
  const cwd = within(stage, '.');
  const names = await readdir(cwd, { recursive: true, withFileTypes: true });
  for (const entry of [...names].reverse()) {
    await chmod(path.join(entry.parentPath, entry.name), entry.isDirectory() ? 0o555 : 0o444);
  }
  await chmod(cwd, 0o555);
  const start = ([program = '', ...args]: readonly string[], env: Variables): ChildProcess =>
    spawn(program, args, {
      cwd,
      env: { ...environmentOf(stage, bin), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...userOf(stage),
    });
  return {
    ...stage,
    files: names
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(cwd, path.join(entry.parentPath, entry.name)))
      .sort(),
    start: (env, args = stage.cmd) => start([...stage.entrypoint, ...args], env),
    exec: (command, env = {}) =>
      new Promise((resolve, reject) => {
        start(command, env).once('exit', resolve).once('error', reject);
      }),
  };
}
