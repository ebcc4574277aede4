"""IAM made true: who asks, what the call needs, and whether the policies that hold for them allow it.

moto keeps users, roles and policies; here is what they mean. moto's own evaluation
(`moto.iam.access_control`) was looked at first and is not used: it knows no resource but "*" for most
services, of conditions StringEquals alone, and takes every other condition for fulfilled; so a policy with
one cannot be tested with it, and one that denies what is not encrypted on the way would deny everything.

`authority` is what the rest of the local cloud asks; `policies` is pure and decides; `demands` says what a
call needs; `principals` reads moto's records; `ledger` remembers, and `report` tells of it.
"""
