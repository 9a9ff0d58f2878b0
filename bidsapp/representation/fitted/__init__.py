"""Steps that are fitted in the fold, one file each; the file's name is the recipe's."""
