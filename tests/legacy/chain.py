"""A program of 2016 in the callback style: fifty calls, each started by the callback of the one before."""

import sys

import pymdc

user = pymdc.api.Users("new_user@coinbend.com", "your password")
keys = pymdc.api.keys.Keys(user)
answers = []


def registered(result):
    print("registered")
    sys.stdout.flush()
    user.activate(sys.stdin.readline().strip(), callback=listed)


def listed(result):
    answers.append(result)
    if len(answers) <= 50:
        keys.list(callback=listed)
    else:
        print(answers[1:] == [[]] * 50)


user.register(callback=registered)
