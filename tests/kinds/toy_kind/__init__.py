"""A kind of task as another package would bring it: a rating of one to three stars, judged by how far it is off."""
