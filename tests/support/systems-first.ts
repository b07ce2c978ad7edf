import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files of the project `systems` before all others, which fill the time that those wait for. */
export default class SystemsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isSystem = ({ project }: TestSpecification): boolean => project.name === 'systems';
    return [...sorted.filter(isSystem), ...sorted.filter((file) => !isSystem(file))];
  }
}
