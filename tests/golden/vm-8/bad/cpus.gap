shield: DIR/bad.json:4:15: guest: a number is missing; write it like 0-3,8; this machine has CPUs 0-7
    1,,2
      ^
