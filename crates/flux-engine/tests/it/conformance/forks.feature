Feature: Forks on several engines
  The conformance kit has one fork only, of which one branch is enough.
  These are the other ways in which parallel branches end.

  Scenario: All Branches Of A Fork Join In The Order Of Their Declaration
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: join, version: '1.0.0' }
    do:
      - start: { set: { base: 10 } }
      - all:
          fork:
            branches:
              - one:
                  do:
                    - addOne: { set: { sum: '${ .base + 1 }' } }
                    - printOne: { run: { shell: { command: 'echo one' } } }
                    - keepOne: { set: { name: '${ . }' }, export: { as: '${ $context + { one: .name } }' } }
              - two: { set: { sum: '${ .base + 2 }' }, export: { as: '${ { two: .sum } }' } }
              - three: { run: { shell: { command: 'echo three' } } }
      - tell: { set: { outputs: '${ . }', context: '${ $context }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    outputs: [{ name: one }, { sum: 12 }, three]
    context: { one: one, two: 12 }
    """
    And start should run first
    And printOne should run after addOne
    And keepOne should run after printOne
    And tell should run last

  Scenario: Forks Within The Branches Of A Fork
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: nested, version: '1.0.0' }
    do:
      - outer:
          fork:
            branches:
              - left:
                  fork:
                    branches:
                      - l1: { set: { x: 1 } }
                      - l2: { run: { shell: { command: 'echo l2' } } }
              - right:
                  do:
                    - inner:
                        fork:
                          branches:
                            - r1: { set: { x: 3 } }
                            - r2: { set: { x: 4 } }
                    - sum: { set: { sum: '${ map(.x) | add }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - [{ x: 1 }, l2]
    - { sum: 7 }
    """
    And sum should run after r1
    And sum should run after r2

  Scenario: A Branch That Raises An Error Is Caught Around The Fork
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: caught, version: '1.0.0' }
    do:
      - guarded:
          try:
            - both:
                fork:
                  branches:
                    - bad: { raise: { error: { type: 'https://example.com/tea', status: 418, title: Tea } } }
                    - long: { run: { shell: { command: 'sleep 600' } } }
          catch:
            as: error
            do:
              - tell: { set: { status: '${ $error.status }', instance: '${ $error.instance }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 418
    instance: /do/0/guarded/try/0/both/fork/branches/0/bad
    """

  Scenario: A Branch That Raises An Error Nobody Catches
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: uncaught, version: '1.0.0' }
    do:
      - all:
          fork:
            branches:
              - waits: { wait: { hours: 1 } }
              - bad: { raise: { error: { type: 'https://example.com/tea', status: 418, title: Tea } } }
              - long: { run: { shell: { command: 'sleep 600' } } }
      - never: { set: { x: 2 } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://example.com/tea
    status: 418
    instance: /do/0/all/fork/branches/1/bad
    """

  Scenario: A Fork In A Loop, With A Branch That Waits And One That Is Retried
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: loop, version: '1.0.0' }
    do:
      - each:
          for: { each: item, in: '${ .items }' }
          do:
            - both:
                fork:
                  branches:
                    - waits:
                        do:
                          - pause: { wait: { milliseconds: 50 } }
                          - twice: { set: { value: '${ $item * 2 }' } }
                    - tries:
                        do:
                          - stubborn:
                              try:
                                - attempt: { run: { shell: { command: 'test "$FLUX_ATTEMPT" -ge 2 && echo yes' } } }
                              catch:
                                retry: { delay: { milliseconds: 20 }, limit: { attempt: { count: 3 } } }
            - collect: { set: { last: '${ . }' }, export: { as: '${ { all: (($context.all // []) + [.last]) } }' } }
      - tell: { set: '${ $context.all }' }
    """
    And given the workflow input is:
    """yaml
    items: [1, 2]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - [{ value: 2 }, 'yes']
    - [{ value: 4 }, 'yes']
    """
    And tell should run last
